//! Processes and their chains (architecture: Identity).

use super::machine::Machine;
use crate::base::ids::{BrokerId, ChainId};
use crate::manifest::Error;
use crate::manifest::chain::{Chain, Phase};
use crate::manifest::client::{FencingChain, Registered, Registration};
use crate::manifest::edit::{Broker, Edit};

impl Machine {
    /// Gives a process its chain. A process that was superseded gets none: it never takes back.
    pub(super) fn register(&mut self, registration: Registration) -> Result<Registered, Error> {
        self.prove_office();
        let Registration { broker, incarnation, ended, listeners, rack } = registration;
        let known = self.state.brokers.get(&broker);
        let holder = known.map(|known| known.incarnation);
        let was_here = || {
            let mut chains = self.state.chains.values();
            chains.any(|chain| chain.broker == broker && chain.incarnation == incarnation)
        };
        if let Some(successor) = holder.filter(|holder| *holder != incarnation && was_here()) {
            return Err(Error::Superseded { broker, successor });
        }
        let open = self.open_chain(broker);
        let own = open.filter(|(id, chain)| chain.incarnation == incarnation && Some(*id) != ended);
        let (chain, earlier) = match own {
            Some((chain, _)) => (chain, None),
            None => (self.state.next_chain, open.map(|(chain, _)| chain)),
        };
        if let Some(chain) = earlier {
            self.state.apply(Edit::ChainFencing { chain });
        }
        let next = Broker { incarnation, chain, listeners, rack };
        if self.state.brokers.get(&broker) != Some(&next) {
            self.state.apply(Edit::Registered { id: broker, broker: next });
        }
        Ok(Registered { chain, fencing: self.fencing(broker) })
    }

    /// The chain that a broker writes.
    pub(super) fn open_chain(&self, broker: BrokerId) -> Option<(ChainId, &Chain)> {
        let chain = self.state.brokers.get(&broker)?.chain;
        self.state
            .chains
            .get(&chain)
            .filter(|known| known.phase == Phase::Open)
            .map(|known| (chain, known))
    }

    /// A broker's chains that wait for recovery.
    pub(super) fn fencing(&self, broker: BrokerId) -> Vec<FencingChain> {
        let waits = self
            .state
            .chains
            .iter()
            .filter(|(_, chain)| chain.broker == broker && chain.phase == Phase::Fencing);
        let fencing = |(id, chain): (&ChainId, &Chain)| FencingChain {
            chain: *id,
            incarnation: chain.incarnation,
            committed: chain.committed(),
            trimmed: chain.trimmed(),
        };
        waits.map(fencing).collect()
    }
}
