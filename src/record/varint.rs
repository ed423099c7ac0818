//! Variable-length integers: seven bits a byte, low bits first, zigzag for signed ones; Kafka's and our indexes'.

/// Bytes that end within a number, or a number that never ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Takes an unsigned number off the front of `from`.
#[inline]
pub(crate) fn take_u64(from: &mut &[u8]) -> Result<u64, Malformed> {
    if let Some((&byte, rest)) = from.split_first()
        && byte < 0x80
    {
        *from = rest;
        return Ok(u64::from(byte));
    }
    take_long(from, 10)
}

fn take_long(from: &mut &[u8], bytes_max: usize) -> Result<u64, Malformed> {
    let mut value = 0;
    for (index, &byte) in from.iter().take(bytes_max).enumerate() {
        value |= u64::from(byte & 0x7f).wrapping_shl(7 * u32::try_from(index).unwrap_or(0));
        if byte < 0x80 {
            *from = &from[index + 1..];
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Takes a zigzag number of at most 64 bits off the front of `from`.
#[inline]
pub(crate) fn take_i64(from: &mut &[u8]) -> Result<i64, Malformed> {
    take_u64(from).map(unzigzag)
}

/// Takes a zigzag number of at most 32 bits, in at most 5 bytes, off the front of `from`.
#[inline]
pub(crate) fn take_i32(from: &mut &[u8]) -> Result<i32, Malformed> {
    let value = take_long(from, 5)?;
    i32::try_from(unzigzag(value)).map_err(|_| Malformed)
}

/// Appends an unsigned number.
#[inline]
pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

/// Appends a signed number as zigzag.
#[inline]
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, zigzag(value));
}

fn low_bits(value: u64) -> u8 {
    (value & 0x7f) as u8
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kafka_vectors() {
        // ByteUtilsTest in Apache Kafka.
        for (value, bytes) in [
            (0, vec![0x00]),
            (-1, vec![0x01]),
            (1, vec![0x02]),
            (63, vec![0x7e]),
            (-64, vec![0x7f]),
            (64, vec![0x80, 0x01]),
            (-8192, vec![0xff, 0x7f]),
            (i64::from(i32::MAX), vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
            (i64::from(i32::MIN), vec![0xff, 0xff, 0xff, 0xff, 0x0f]),
        ] {
            let mut out = Vec::new();
            put_i64(&mut out, value);
            assert_eq!(out, bytes, "{value}");
            assert_eq!(take_i32(&mut out.as_slice()).map(i64::from), Ok(value));
        }
    }

    #[test]
    fn endless_and_cut_numbers_are_malformed() {
        assert_eq!(take_i32(&mut [0xff; 6].as_slice()), Err(Malformed));
        assert_eq!(take_u64(&mut [0xff; 11].as_slice()), Err(Malformed));
        assert_eq!(take_u64(&mut [0x80; 3].as_slice()), Err(Malformed));
        assert_eq!(take_u64(&mut [].as_slice()), Err(Malformed));
    }

    proptest! {
        #[test]
        fn numbers_round_trip(signed in any::<i64>(), unsigned in any::<u64>()) {
            let mut out = Vec::new();
            put_i64(&mut out, signed);
            put_u64(&mut out, unsigned);
            let mut rest = out.as_slice();
            prop_assert_eq!(take_i64(&mut rest), Ok(signed));
            prop_assert_eq!(take_u64(&mut rest), Ok(unsigned));
            prop_assert!(rest.is_empty());
        }
    }
}
