//! Bounds of what a schema makes of one value: how many schemas hold for it at once, and how deep they lead.
//!
//! Combinations and references apply to the value that their schema applies to. A schema can name itself in this way
//! and never come to an end, or double its work at each step; both are refused before anything is validated.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Id;
use crate::schema_registry::format::SchemaError;

/// The most schemas that apply to one value.
const APPLIED_MAX: u64 = 50_000;
/// How deep they may stand in one another.
const DEPTH_MAX: u64 = 256;

/// The most ways that references lead through documents, each in its own address.
const WAYS_MAX: usize = 4_000;

/// By the address of a document, those of the documents that it refers to.
pub(super) type Links = BTreeMap<String, BTreeSet<String>>;

/// Counts the ways through documents. A compiler goes each of them: what a dynamic reference means hangs on where one
/// comes from. Documents of which each refers to the two before it have more ways than anybody can go.
///
/// # Errors
/// If there are more than the bound permits.
pub(super) fn ways(root: &str, links: &Links) -> Result<(), SchemaError> {
    let next = |address: &str| links.get(address).into_iter().flatten();
    let (mut way, mut on_way) = (vec![(root, next(root))], BTreeSet::from([root]));
    let mut count = 0;
    while let Some((address, following)) = way.last_mut() {
        let Some(there) = following.next() else {
            on_way.remove(*address);
            way.pop();
            continue;
        };
        if on_way.insert(there.as_str()) {
            way.push((there.as_str(), next(there)));
            count += 1;
        }
        if count > WAYS_MAX {
            return Err(SchemaError::new(format!(
                "references lead through its documents in more than {WAYS_MAX} ways"
            )));
        }
    }
    Ok(())
}

/// What a schema's bounds came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    applied: u64,
    /// The longest way through schemas that apply to the same value.
    pub(super) depth: u64,
}

/// Weighs every schema; `applied` lists for each those that apply to the same value.
///
/// # Errors
/// If one applies to its own value again, or more do than the bounds permit.
pub(super) fn weigh(applied: &[Vec<Id>]) -> Result<Weight, SchemaError> {
    let mut weights: Vec<Option<Weight>> = vec![None; applied.len()];
    let mut open = vec![false; applied.len()];
    let mut heaviest = Weight::default();
    for start in 0..applied.len() {
        let mut stack = vec![(start, 0)];
        while let Some((id, next)) = stack.pop() {
            if weights[id].is_some() {
                continue;
            }
            open[id] = true;
            match applied[id].get(next) {
                Some(&inner) => {
                    stack.push((id, next + 1));
                    if open[inner] && weights[inner].is_none() {
                        return Err(SchemaError::new(
                            "a schema refers to itself for the same value, without an end",
                        ));
                    }
                    stack.push((inner, 0));
                }
                None => {
                    let weight = sum(&applied[id], &weights)?;
                    heaviest.depth = heaviest.depth.max(weight.depth);
                    weights[id] = Some(weight);
                }
            }
        }
    }
    Ok(heaviest)
}

fn sum(inner: &[Id], weights: &[Option<Weight>]) -> Result<Weight, SchemaError> {
    let mut weight = Weight { applied: 1, depth: 1 };
    for known in inner.iter().filter_map(|id| weights[*id]) {
        weight.applied = weight.applied.saturating_add(known.applied);
        weight.depth = weight.depth.max(known.depth + 1);
    }
    if weight.applied > APPLIED_MAX {
        return Err(SchemaError::new(format!(
            "more than {APPLIED_MAX} schemas apply to one value"
        )));
    }
    if weight.depth > DEPTH_MAX {
        return Err(SchemaError::new(format!(
            "combined schemas are nested more than {DEPTH_MAX} deep"
        )));
    }
    Ok(weight)
}

#[cfg(test)]
mod tests {
    use super::{Links, ways, weigh};

    #[test]
    fn ways_through_documents_are_counted_and_circles_end() {
        let two_before = |documents: usize| -> Links {
            let before = |at: usize| [at + 1, at + 2].map(|of| of.to_string()).into();
            (0..documents).map(|at| (at.to_string(), before(at))).collect()
        };
        assert!(ways("0", &two_before(12)).is_ok());
        assert!(ways("0", &two_before(60)).is_err());
        let all = |count: usize| -> Links {
            let names: Vec<String> = (0..count).map(|at| at.to_string()).collect();
            names.iter().map(|name| (name.clone(), names.iter().cloned().collect())).collect()
        };
        assert!(ways("0", &all(4)).is_ok());
        assert!(ways("0", &all(40)).is_err());
    }

    #[test]
    fn circles_and_doublings_are_refused() {
        assert_eq!(weigh(&[vec![1, 1], vec![]]).expect("a tree").depth, 2);
        assert!(weigh(&[vec![0]]).is_err());
        assert!(weigh(&[vec![1], vec![2], vec![1]]).is_err());
        let doubling = |levels: usize| -> Vec<Vec<usize>> {
            let inner =
                |level: usize| if level + 1 < levels { vec![level + 1; 2] } else { Vec::new() };
            (0..levels).map(inner).collect()
        };
        assert!(weigh(&doubling(15)).is_ok());
        assert!(weigh(&doubling(60)).is_err());
        let chain: Vec<Vec<usize>> =
            (0..1_000).map(|at| if at < 999 { vec![at + 1] } else { vec![] }).collect();
        assert!(weigh(&chain).is_err());
    }
}
