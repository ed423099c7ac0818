//! Whether bytes are one datum of a schema, and nothing else.
//!
//! Nothing is built of what is read. The stack is bounded by [`DEPTH_MAX`], and time by the payload's length: what takes
//! no bytes, as a null does, is counted.
//!
//! Source: "Binary Encoding" in the specification of Apache Avro.

use super::super::format::SchemaError;
use super::model::{Kind, Primitive, TypeId, Types};

/// How deep values may nest, as in a list of records that each hold the next.
const DEPTH_MAX: usize = 1000;
/// Values that a payload may have besides those that its length allows for.
const FREE_VALUES: usize = 1_000_000;

/// # Errors
/// The bytes end too early or too late, or hold something that is no value of the schema; the message says at which
/// byte.
pub(super) fn validate(types: &Types, root: TypeId, payload: &[u8]) -> Result<(), SchemaError> {
    let values_left = FREE_VALUES.saturating_add(payload.len().saturating_mul(2));
    let mut reader = Reader { types, payload, at: 0, depth: 0, values_left };
    let read = reader.value(root);
    let read = read.and_then(|()| match payload.len() - reader.at {
        0 => Ok(()),
        left => Err(Fault::Left(left)),
    });
    read.map_err(|fault| fault.describe(reader.at))
}

enum Fault {
    /// More bytes are needed.
    Ends,
    /// Bytes are left.
    Left(usize),
    Varint,
    Int(i64),
    Boolean(u8),
    Length(i64),
    Utf8,
    Branch(i64, usize),
    Symbol(i64, usize),
    Block(i64),
    Deep,
    Many,
}

impl Fault {
    fn describe(&self, at: usize) -> SchemaError {
        let what = match self {
            Self::Ends => "the payload ends within a value".to_owned(),
            Self::Left(left) => format!("{left} bytes are left after the value"),
            Self::Varint => "a number has more than 64 bits".to_owned(),
            Self::Int(number) => format!("{number} is not an int"),
            Self::Boolean(byte) => format!("{byte} is not a boolean"),
            Self::Length(length) => format!("{length} is not a length"),
            Self::Utf8 => "a string is not UTF-8".to_owned(),
            Self::Branch(at, count) => format!("a union of {count} types has none at {at}"),
            Self::Symbol(at, count) => format!("an enum of {count} symbols has none at {at}"),
            Self::Block(bytes) => format!("a block does not have the {bytes} bytes that it says"),
            Self::Deep => format!("values nest deeper than {DEPTH_MAX} levels"),
            Self::Many => "there are too many values for so few bytes".to_owned(),
        };
        SchemaError::new(format!("byte {at}: {what}"))
    }
}

struct Reader<'a> {
    types: &'a Types,
    payload: &'a [u8],
    at: usize,
    depth: usize,
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, id: TypeId) -> Result<(), Fault> {
        self.values_left = self.values_left.checked_sub(1).ok_or(Fault::Many)?;
        match self.types.kind(id) {
            Kind::Primitive(primitive) => self.primitive(*primitive),
            Kind::Fixed(fixed) => self.skip(i64::from(fixed.size)),
            Kind::Enum(symbols) => {
                let count = symbols.symbols.len();
                let symbol = self.int()?;
                self.index(symbol, count).map(drop).ok_or(Fault::Symbol(symbol, count))
            }
            kind => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(Fault::Deep);
                }
                self.nested(kind)?;
                self.depth -= 1;
                Ok(())
            }
        }
    }

    fn nested(&mut self, kind: &'a Kind) -> Result<(), Fault> {
        match kind {
            Kind::Record(record) => {
                record.fields.iter().try_for_each(|field| self.value(field.schema))
            }
            Kind::Union(branches) => {
                let branch = self.int()?;
                let at = self.index(branch, branches.len());
                let at = at.ok_or(Fault::Branch(branch, branches.len()))?;
                self.value(branches[at])
            }
            Kind::Array(items) => self.blocks(|reader| reader.value(*items)),
            Kind::Map(values) => self.blocks(|reader| {
                reader.primitive(Primitive::String)?;
                reader.value(*values)
            }),
            // None is left after parsing, and the others are read by `value`.
            _ => Ok(()),
        }
    }

    fn primitive(&mut self, primitive: Primitive) -> Result<(), Fault> {
        match primitive {
            Primitive::Null => Ok(()),
            Primitive::Boolean => match self.byte()? {
                0 | 1 => Ok(()),
                byte => Err(Fault::Boolean(byte)),
            },
            Primitive::Int => self.int().map(drop),
            Primitive::Long => self.long().map(drop),
            Primitive::Float => self.skip(4),
            Primitive::Double => self.skip(8),
            Primitive::Bytes => {
                let length = self.long()?;
                self.skip(length)
            }
            Primitive::String => {
                let length = self.long()?;
                let start = self.at;
                self.skip(length)?;
                let text = std::str::from_utf8(&self.payload[start..self.at]);
                text.map(drop).map_err(|_| Fault::Utf8)
            }
        }
    }

    /// An array's or a map's blocks, of which the last has no items.
    fn blocks(&mut self, item: impl Fn(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            let size = if count < 0 { Some(self.long()?) } else { None };
            let start = self.at;
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
            if let Some(size) = size
                && usize::try_from(size) != Ok(self.at - start)
            {
                return Err(Fault::Block(size));
            }
        }
    }

    fn index(&self, at: i64, count: usize) -> Option<usize> {
        usize::try_from(at).ok().filter(|at| *at < count)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let byte = *self.payload.get(self.at).ok_or(Fault::Ends)?;
        self.at += 1;
        Ok(byte)
    }

    fn skip(&mut self, length: i64) -> Result<(), Fault> {
        let length = usize::try_from(length).map_err(|_| Fault::Length(length))?;
        if length > self.payload.len() - self.at {
            return Err(Fault::Ends);
        }
        self.at += length;
        Ok(())
    }

    fn int(&mut self) -> Result<i64, Fault> {
        let number = self.long()?;
        i32::try_from(number).map(i64::from).map_err(|_| Fault::Int(number))
    }

    fn long(&mut self) -> Result<i64, Fault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Fault::Varint);
            }
            number |= bits << shift;
            if byte < 0x80 {
                // Zigzag: the sign is the lowest bit.
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(Fault::Varint)
    }
}
