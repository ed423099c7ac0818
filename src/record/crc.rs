//! CRC-32C (Castagnoli), the checksum of record batches and of our objects, and arithmetic on it.
//!
//! [`crc32c`] runs on hardware instructions. [`combine`] gives the checksum of two neighbours from theirs, so that the
//! bytes of a batch are read once in their life here: when they are validated. Its cost is one multiplication of
//! polynomials for each byte of the length that is not zero, a few tens of nanoseconds, whatever the lengths.

use crc_fast::{CrcAlgorithm, Digest};

/// The polynomial, bit-reflected: bit 31 is the coefficient of x^0.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0 in reflected form.
const ONE: u32 = 1 << 31;

/// The checksum of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The checksum of what `crc` covers, followed by `bytes`.
#[must_use]
pub fn extend(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!crc));
    digest.update(bytes);
    low_half(digest.finalize())
}

/// The checksum of two neighbours: `first` covers the bytes before, `second` the `second_bytes` bytes after.
#[must_use]
pub fn combine(first: u32, second: u32, second_bytes: u64) -> u32 {
    shift(first, second_bytes) ^ second
}

/// What the bits of `difference` become when `bytes` more bytes follow.
///
/// CRCs are linear: when bytes inside a message change, the message's checksum changes by the shifted difference of the
/// checksums of the changed part.
pub(super) fn shift(difference: u32, bytes: u64) -> u32 {
    let mut product = difference;
    for (power, digit) in bytes.to_le_bytes().into_iter().enumerate() {
        if digit != 0 {
            product = multiply(POWERS[power][usize::from(digit)], product);
        }
    }
    product
}

fn low_half(wide: u64) -> u32 {
    wide as u32
}

/// `POWERS[k][d]` is x^(8 * d * 256^k) modulo the polynomial: what `d * 256^k` following bytes multiply a checksum by.
static POWERS: [[u32; 256]; 8] = powers();
/// `REDUCE[n]` is what the four bits shifted out by a multiplication with x^4 add again.
const REDUCE: [u32; 16] = reductions();

const fn powers() -> [[u32; 256]; 8] {
    let mut table = [[ONE; 256]; 8];
    // x^8: the operator of one byte.
    let mut unit = ONE >> 8;
    let mut power = 0;
    while power < 8 {
        let mut digit = 1;
        while digit < 256 {
            table[power][digit] = multiply(unit, table[power][digit - 1]);
            digit += 1;
        }
        unit = multiply(unit, table[power][255]);
        power += 1;
    }
    table
}

const fn reductions() -> [u32; 16] {
    let mut table = [0; 16];
    let mut bits = 0;
    while bits < 16 {
        let mut value = bits;
        let mut step = 0;
        while step < 4 {
            value = times_x(value);
            step += 1;
        }
        table[bits as usize] = value;
        bits += 1;
    }
    table
}

const fn times_x(value: u32) -> u32 {
    (value >> 1) ^ if value & 1 == 1 { POLYNOMIAL } else { 0 }
}

const fn times_x4(value: u32) -> u32 {
    (value >> 4) ^ REDUCE[(value & 15) as usize]
}

/// The product of two polynomials modulo the CRC's, four bits of `a` a step.
const fn multiply(a: u32, b: u32) -> u32 {
    let multiples = multiples(b);
    let mut product = 0;
    let mut nibble = 0;
    while nibble < 8 {
        // Reflected: the low bits hold the highest powers, so Horner's scheme starts with them.
        let bits = (a >> (4 * nibble)) & 15;
        product = times_x4(product) ^ multiples[bits as usize];
        nibble += 1;
    }
    product
}

/// `b` times each polynomial of degree below 4; bit 3 of the index is x^0.
const fn multiples(b: u32) -> [u32; 16] {
    let b1 = times_x(b);
    let b2 = times_x(b1);
    let b3 = times_x(b2);
    [
        0,
        b3,
        b2,
        b2 ^ b3,
        b1,
        b1 ^ b3,
        b1 ^ b2,
        b1 ^ b2 ^ b3,
        b,
        b ^ b3,
        b ^ b2,
        b ^ b2 ^ b3,
        b ^ b1,
        b ^ b1 ^ b3,
        b ^ b1 ^ b2,
        b ^ b1 ^ b2 ^ b3,
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_vectors() {
        // RFC 3720, B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    fn by_squaring(mut value: u32, mut bytes: u64) -> u32 {
        let mut operator = ONE >> 8;
        while bytes > 0 {
            value = if bytes & 1 == 1 { multiply(operator, value) } else { value };
            operator = multiply(operator, operator);
            bytes >>= 1;
        }
        value
    }

    #[test]
    fn shifting_agrees_with_repeated_squaring_at_large_lengths() {
        for bytes in [0, 1, 2, 255, 256, 65_535, 65_536, 1 << 24, (1 << 32) + 77, u64::MAX] {
            assert_eq!(shift(0xdead_beef, bytes), by_squaring(0xdead_beef, bytes), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn combine_and_extend_agree_with_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            at in any::<prop::sample::Index>(),
        ) {
            let (first, second) = bytes.split_at(at.index(bytes.len() + 1));
            let whole = crc32c(&bytes);
            prop_assert_eq!(combine(crc32c(first), crc32c(second), second.len() as u64), whole);
            prop_assert_eq!(extend(crc32c(first), second), whole);
        }
    }
}
