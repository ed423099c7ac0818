//! What the format promises, held against tables and texts.

mod bounds;
mod payloads;
mod rules;
mod texts;
