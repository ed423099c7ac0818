//! What the format promises, held against tables and texts.

mod bounds;
mod rules;
mod texts;
