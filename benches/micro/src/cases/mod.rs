//! The cases, one file a layer.

mod classic_groups;
mod frames;
mod groups;
mod log;
mod manifest;
mod records;
mod slots;

use crate::case::Case;

/// All cases, from the lowest layer up.
pub fn all() -> Vec<Case> {
    let layers = [
        records::cases(),
        slots::cases(),
        frames::cases(),
        log::cases(),
        manifest::cases(),
        groups::cases(),
        classic_groups::cases(),
    ];
    layers.into_iter().flatten().collect()
}
