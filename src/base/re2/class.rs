//! Character classes and escapes by RE2's grammar.

use std::iter::Peekable;
use std::str::Chars;

use super::{Invalid, write_char};

const RANGE: Invalid = Invalid("invalid character class range");
const ESCAPE: Invalid = Invalid("invalid escape sequence");
const UNCLOSED: Invalid = Invalid("missing closing ]");

/// The names of POSIX classes that RE2 knows.
const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// What a backslash begins.
pub(super) enum Escaped {
    /// One character.
    Char(char),
    /// A class, as the crate writes it too.
    Class(String),
}

/// Reads a class; its opening bracket is behind.
pub(super) fn read(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), Invalid> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    let mut first = true;
    loop {
        let sign = *rest.peek().ok_or(UNCLOSED)?;
        if sign == ']' && !first {
            rest.next();
            out.push(']');
            return Ok(());
        }
        first = false;
        if sign == '[' && posix(rest, out)? {
            continue;
        }
        match one(rest)? {
            Escaped::Class(class) => out.push_str(&class),
            Escaped::Char(low) => {
                let high = upper_end(rest)?.unwrap_or(low);
                if low > high {
                    return Err(RANGE);
                }
                write_char(out, low);
                out.push('-');
                write_char(out, high);
            }
        }
    }
}

fn one(rest: &mut Peekable<Chars<'_>>) -> Result<Escaped, Invalid> {
    match rest.next().ok_or(UNCLOSED)? {
        '\\' => escaped(rest),
        literal => Ok(Escaped::Char(literal)),
    }
}

/// The end of a range, if one follows: a hyphen before the closing bracket is itself.
fn upper_end(rest: &mut Peekable<Chars<'_>>) -> Result<Option<char>, Invalid> {
    let mut ahead = rest.clone();
    if ahead.next() != Some('-') || matches!(ahead.peek(), Some(']')) {
        return Ok(None);
    }
    rest.next();
    match one(rest)? {
        Escaped::Char(high) => Ok(Some(high)),
        Escaped::Class(_) => Err(ESCAPE),
    }
}

/// `[:name:]`. False: a plain bracket.
fn posix(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<bool, Invalid> {
    let mut ahead = rest.clone();
    ahead.next();
    if ahead.next() != Some(':') {
        return Ok(false);
    }
    let mut name = String::new();
    loop {
        match ahead.next() {
            None => return Ok(false),
            Some(':') if ahead.peek() == Some(&']') => break,
            Some(sign) => name.push(sign),
        }
    }
    ahead.next();
    if !POSIX.contains(&name.strip_prefix('^').unwrap_or(&name)) {
        return Err(RANGE);
    }
    out.push_str(&format!("[:{name}:]"));
    *rest = ahead;
    Ok(true)
}

/// What follows a backslash, in a class and outside.
pub(super) fn escaped(rest: &mut Peekable<Chars<'_>>) -> Result<Escaped, Invalid> {
    let sign = rest.next().ok_or(Invalid("trailing backslash at end of expression"))?;
    Ok(Escaped::Char(match sign {
        'd' | 'D' | 's' | 'S' | 'w' | 'W' => return Ok(Escaped::Class(format!(r"\{sign}"))),
        'p' | 'P' => return unicode(sign, rest),
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => hexadecimal(rest)?,
        // One digit would be a reference to a group, which RE2 does not have.
        '1'..='7' if !matches!(rest.peek(), Some('0'..='7')) => return Err(ESCAPE),
        '0'..='7' => octal(sign, rest)?,
        sign if sign.is_ascii_alphanumeric() => return Err(ESCAPE),
        literal => literal,
    }))
}

fn octal(first: char, rest: &mut Peekable<Chars<'_>>) -> Result<char, Invalid> {
    let mut value = first.to_digit(8).ok_or(ESCAPE)?;
    for _ in 0..2 {
        let Some(digit) = rest.peek().and_then(|digit| digit.to_digit(8)) else { break };
        rest.next();
        value = value * 8 + digit;
    }
    char::from_u32(value).ok_or(ESCAPE)
}

fn hexadecimal(rest: &mut Peekable<Chars<'_>>) -> Result<char, Invalid> {
    let mut digit = || rest.next().ok_or(ESCAPE);
    let first = digit()?;
    let mut value = 0;
    if first == '{' {
        let mut digits = 0;
        loop {
            let sign = digit()?;
            if sign == '}' && digits > 0 {
                break;
            }
            value = value * 16 + sign.to_digit(16).ok_or(ESCAPE)?;
            digits += 1;
            if value > u32::from(char::MAX) {
                return Err(ESCAPE);
            }
        }
    } else {
        value = first.to_digit(16).ok_or(ESCAPE)? * 16 + digit()?.to_digit(16).ok_or(ESCAPE)?;
    }
    char::from_u32(value).ok_or(ESCAPE)
}

/// `\pN`, `\p{Greek}`, `\p{^Greek}`: the crate knows the names.
fn unicode(sign: char, rest: &mut Peekable<Chars<'_>>) -> Result<Escaped, Invalid> {
    let first = rest.next().ok_or(RANGE)?;
    let mut name = String::new();
    if first == '{' {
        loop {
            match rest.next().ok_or(RANGE)? {
                '}' => break,
                letter => name.push(letter),
            }
        }
    } else {
        name.push(first);
    }
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name.as_str(), false),
    };
    if name.is_empty() || !name.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_')
    {
        return Err(RANGE);
    }
    let sign = if (sign == 'P') ^ negated { 'P' } else { 'p' };
    Ok(Escaped::Class(format!(r"\{sign}{{{name}}}")))
}
