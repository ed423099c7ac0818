//! Floating-point numbers as Java writes and reads them.
//!
//! Source: `Double.toString`, `Float.toString` and `Double.valueOf` of JDK 19 and later (Raffaele Giulietti's
//! shortest digits); Jackson writes what is no number as a string.

use std::fmt::LowerExp;

/// Appends a double: 0.001 up to 10,000,000 plainly, others as `1.0E7`, with at least one digit on each side.
pub(super) fn write(number: f64, out: &mut String) {
    if number.is_finite() {
        finite(number, number.abs(), out);
    } else {
        out.push_str(match number {
            f64::INFINITY => "\"Infinity\"",
            f64::NEG_INFINITY => "\"-Infinity\"",
            _ => "\"NaN\"",
        });
    }
}

/// As [`write`], with the digits that a float needs.
pub(super) fn write_float(number: f32, out: &mut String) {
    if number.is_finite() {
        finite(number, f64::from(number).abs(), out);
    } else {
        write(f64::from(number), out);
    }
}

fn finite(number: impl LowerExp, size: f64, out: &mut String) {
    let mut shortest = format!("{number:e}");
    if !shortest.contains('.') {
        // One digit would do, but two are written: of all that have two, the closest.
        shortest = format!("{number:.1e}");
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        out.push_str(&format!("{whole}.{fraction}E{exponent}"));
        return;
    }
    let shift: i32 = exponent.parse().unwrap_or(0);
    let (sign, first) = whole.strip_prefix('-').map_or(("", whole), |first| ("-", first));
    let digits = format!("{first}{fraction}");
    let digits = digits.trim_end_matches('0');
    let before = usize::try_from(shift + 1).unwrap_or(0);
    out.push_str(sign);
    if before == 0 {
        out.push_str("0.");
        out.push_str(&"0".repeat(usize::try_from(-shift - 1).unwrap_or(0)));
        out.push_str(digits);
    } else if digits.len() <= before {
        let zeros = if digits.is_empty() { 1 } else { before - digits.len() };
        out.push_str(&format!("{digits}{}.0", "0".repeat(zeros)));
    } else {
        out.push_str(&format!("{}.{}", &digits[..before], &digits[before..]));
    }
}

/// The double that a default in quotes stands for, as `"NaN"` does.
pub(super) fn read(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c| c <= ' ');
    let (sign, size) = match text.strip_prefix('-') {
        Some(size) => (-1.0, size),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match size {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    // Java takes the suffix of a literal too; Rust would take `inf` and `nan` in any case of letters.
    let size = size.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(size);
    let is_number = size.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if is_number { size.parse::<f64>().ok().map(|size| sign * size) } else { None }
}
