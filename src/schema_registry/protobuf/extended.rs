//! Extensions before they are compiled: a number of a message belongs to one of them.
//!
//! The compiler does not look, and takes the value of one option for that of another: what comes of it is a panic.

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;

use super::element::{Extend, File, Message};
use crate::schema_registry::format::SchemaError;

/// Holds the extensions of a file against each other, and against those of its imports in `pool`.
///
/// # Errors
/// If two extend the same message under the same number.
pub(super) fn check(file: &File, pool: &DescriptorPool) -> Result<(), SchemaError> {
    let package = file.package.clone().unwrap_or_default();
    let mut walk = Walk { pool, declared: BTreeSet::new(), used: BTreeSet::new() };
    file.messages.iter().for_each(|message| walk.declare(message, &package));
    walk.extends(&file.extends, &package)?;
    file.messages.iter().try_for_each(|message| walk.message(message, &package))
}

struct Walk<'a> {
    pool: &'a DescriptorPool,
    /// The full names of the file's own messages.
    declared: BTreeSet<String>,
    /// By extended message and number.
    used: BTreeSet<(String, i32)>,
}

fn inside(outer: &str, name: &str) -> String {
    if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") }
}

impl Walk<'_> {
    fn declare(&mut self, message: &Message, outer: &str) {
        let full = inside(outer, &message.name);
        message.messages.iter().for_each(|nested| self.declare(nested, &full));
        message.groups.iter().for_each(|group| self.declare(&group.body, &full));
        self.declared.insert(full);
    }

    fn message(&mut self, message: &Message, outer: &str) -> Result<(), SchemaError> {
        let full = inside(outer, &message.name);
        self.extends(&message.extends, &full)?;
        message.messages.iter().try_for_each(|nested| self.message(nested, &full))?;
        message.groups.iter().try_for_each(|group| self.message(&group.body, &full))
    }

    fn extends(&mut self, extends: &[Extend], scope: &str) -> Result<(), SchemaError> {
        for extend in extends {
            let extended = self.resolve(&extend.name, scope);
            let known = self.pool.get_message_by_name(&extended);
            let fields = extend.fields.iter().map(|field| field.number);
            for number in fields.chain(extend.groups.iter().map(|group| group.number)) {
                let taken = u32::try_from(number)
                    .ok()
                    .and_then(|number| known.as_ref()?.get_extension(number));
                if taken.is_some() || !self.used.insert((extended.clone(), number)) {
                    return Err(SchemaError::new(format!(
                        "{extended} has two extensions with the number {number}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// The full name of a message: the innermost that bears the name.
    fn resolve(&self, name: &str, scope: &str) -> String {
        if let Some(full) = name.strip_prefix('.') {
            return full.to_owned();
        }
        let mut scope = scope;
        while !scope.is_empty() {
            let full = format!("{scope}.{name}");
            if self.declared.contains(&full) || self.pool.get_message_by_name(&full).is_some() {
                return full;
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
        name.to_owned()
    }
}
