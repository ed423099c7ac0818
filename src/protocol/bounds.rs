//! Checks a request's every length and count before the typed decode, and says how much memory that will take.
//!
//! The crate's decoder allocates for an array's count before it reads the elements, so twelve bytes could ask for
//! gigabytes. This walk compares every count with the bytes left and adds up what the decoder will allocate, for the
//! caller to reserve from its budget. It allocates nothing itself.
//!
//! Invariant: a request that passes is decoded without error, and the decoder allocates at most [`Walked::heap_bytes`].

use super::api::ApiKey;
use super::error::Error;
use super::shapes::{Element, Field, Kind, Struct};
use super::wire::Cursor;

/// What a walk found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// How many bytes of the body the request has. Kafka ignores what follows, and so do we.
    pub bytes: usize,
    /// The most that decoding allocates. Strings and record data are not in it: they share the frame.
    pub heap_bytes: usize,
}

/// Walks the body of a request, without its header.
///
/// # Errors
/// `UnsupportedVersion` outside the served range; any other where the body is not a request of this version.
pub fn walk(key: ApiKey, version: i16, body: &[u8]) -> Result<Walked, Error> {
    let api = key.api();
    if !api.serves(version) {
        return Err(Error::UnsupportedVersion { api: api.name, version });
    }
    let mut walk =
        Walk { version, compact: api.is_flexible(version), heap_bytes: HEAP_BYTES_LEAST };
    let mut cursor = Cursor::new(body, walk.compact);
    walk.structure(&mut cursor, api.shape)?;
    Ok(Walked { bytes: cursor.at(), heap_bytes: walk.heap_bytes })
}

/// For the reference count that a frame gets when it is first shared.
const HEAP_BYTES_LEAST: usize = 64;

/// A leaf of a `BTreeMap<i32, Bytes>`: 11 keys, 11 values, links.
const MAP_LEAF_BYTES: usize = 11 * 4 + 11 * 32 + 16;
const MAP_LEAF_ENTRIES: usize = 11;
/// An entry in a map of several leaves: leaves at least 5 of 11 full, inner nodes (504 bytes) over at least 6 of them.
const MAP_ENTRY_BYTES: usize = MAP_LEAF_BYTES / 5 + 504 / 25 + 10;
/// The root's path may be emptier than that.
const MAP_EXTRA_BYTES: usize = 2048;

struct Walk {
    version: i16,
    compact: bool,
    heap_bytes: usize,
}

impl Walk {
    fn structure(&mut self, cursor: &mut Cursor<'_>, shape: &'static Struct) -> Result<(), Error> {
        for field in shape.fields {
            if field.exists(self.version) {
                self.field(cursor, field)?;
            }
        }
        let unknown = cursor.tagged(|tag, value| {
            let Some(known) = shape.tagged.iter().find(|known| known.tag == tag) else {
                return Ok(false);
            };
            if self.version < known.since {
                return Err(value.invalid("tag of a later version"));
            }
            self.field(value, &known.field)?;
            Ok(true)
        })?;
        if shape.keeps_unknown {
            self.heap_bytes += map_bytes(unknown);
        }
        Ok(())
    }

    fn field(&mut self, cursor: &mut Cursor<'_>, field: &Field) -> Result<(), Error> {
        let nullable = field.is_nullable(self.version);
        let null = match field.kind {
            Kind::Fixed(bytes) => cursor.take(bytes).map(|_| false)?,
            Kind::Text => cursor.string()?.is_none(),
            Kind::Bytes => cursor.bytes()?.is_none(),
            Kind::Nested(shape) => self.structure(cursor, shape).map(|()| false)?,
            Kind::Optional(shape) => return self.optional(cursor, shape),
            Kind::Array(element) => self.array(cursor, element)?.is_none(),
        };
        if null && !nullable {
            return Err(cursor.invalid("null"));
        }
        Ok(())
    }

    fn optional(&mut self, cursor: &mut Cursor<'_>, shape: &'static Struct) -> Result<(), Error> {
        match cursor.i8()? {
            1 => self.structure(cursor, shape),
            i8::MIN..=-1 => Ok(()),
            _ => Err(cursor.invalid("presence of a struct")),
        }
    }

    fn array(&mut self, cursor: &mut Cursor<'_>, element: Element) -> Result<Option<()>, Error> {
        let Some(count) = cursor.count(self.least_bytes(element))? else { return Ok(None) };
        let element_heap_bytes = match element {
            Element::Fixed(_, heap) | Element::Text(heap) | Element::Struct(_, heap) => heap,
        };
        self.heap_bytes += count * element_heap_bytes;
        match element {
            Element::Fixed(bytes, _) => cursor.take(count * bytes).map(|_| ())?,
            Element::Text(_) => self.texts(cursor, count)?,
            Element::Struct(shape, _) => {
                for _ in 0..count {
                    self.structure(cursor, shape)?;
                }
            }
        }
        Ok(Some(()))
    }

    fn texts(&self, cursor: &mut Cursor<'_>, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            if cursor.string()?.is_none() {
                return Err(cursor.invalid("null"));
            }
        }
        Ok(())
    }

    /// The fewest bytes that an element can have at this version.
    fn least_bytes(&self, element: Element) -> usize {
        match element {
            Element::Fixed(bytes, _) => bytes,
            Element::Text(_) => self.least_text_bytes(),
            Element::Struct(shape, _) => {
                let fields = shape.fields.iter().filter(|field| field.exists(self.version));
                fields.map(|field| self.least_field_bytes(field)).sum::<usize>()
                    + usize::from(self.compact)
            }
        }
    }

    fn least_field_bytes(&self, field: &Field) -> usize {
        match field.kind {
            Kind::Fixed(bytes) => bytes,
            Kind::Text => self.least_text_bytes(),
            Kind::Bytes | Kind::Array(_) if !self.compact => 4,
            Kind::Bytes | Kind::Array(_) | Kind::Optional(_) | Kind::Nested(_) => 1,
        }
    }

    fn least_text_bytes(&self) -> usize {
        if self.compact { 1 } else { 2 }
    }
}

/// The heap behind a `BTreeMap<i32, Bytes>` of so many entries.
fn map_bytes(entries: usize) -> usize {
    match entries {
        0 => 0,
        1..=MAP_LEAF_ENTRIES => MAP_LEAF_BYTES,
        _ => entries * MAP_ENTRY_BYTES + MAP_EXTRA_BYTES,
    }
}

#[cfg(test)]
mod tests;
