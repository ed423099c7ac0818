//! Patterns with RE2's syntax and meaning: what a client of Kafka writes, for topics or transactional ids, means the same here.
//!
//! The `regex` crate is RE2's kin and matches in linear time, but it reads more than RE2 does and some signs differently
//! (nested classes, `&&`, `(?x)`), and less in places (`\Q`, octal). So a pattern is read by RE2's grammar first, and what
//! goes to the crate is written anew, unambiguous. One difference stays: long names of Unicode categories (`\p{Letter}`)
//! are taken.
//!
//! Source: `com.google.re2j.Pattern`, which Apache Kafka 4.3.1 uses (`Utils.throwIfRegularExpressionIsInvalid`).

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

mod class;
#[cfg(test)]
mod tests;

/// What a compiled pattern may take: RE2/J has no bound, and a coordinator must.
const COMPILED_BYTES_MAX: usize = 4 << 20;
/// RE2's own bound on counted repetition.
const REPEAT_MAX: u32 = 1000;
/// Groups in groups; reading is not recursive, but the crate's is.
const NESTED_MAX: u32 = 200;

/// Why a pattern is refused, in RE2/J's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub(super) &'static str);

/// A pattern that matches whole names.
#[derive(Debug, Clone)]
pub struct WholePattern(regex::Regex);

impl WholePattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// [`Invalid`]: RE2 refuses it, or it is larger than a coordinator compiles.
    pub fn new(pattern: &str) -> Result<Self, Invalid> {
        let translated = Reader::new(pattern).read()?;
        regex::RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
            .size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTED_MAX)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => Invalid("expression too large"),
                _ => Invalid("invalid character class range"),
            })
    }

    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// What a repetition operator would repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Piece,
    Repetition,
}

/// Reads a pattern by RE2's grammar and writes it for the crate.
struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    before: Before,
    open: u32,
    names: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            rest: pattern.chars().peekable(),
            out: String::with_capacity(pattern.len() + 16),
            before: Before::Nothing,
            open: 0,
            names: BTreeSet::new(),
        }
    }

    fn read(mut self) -> Result<String, Invalid> {
        while let Some(sign) = self.rest.next() {
            match sign {
                '(' => self.open_group()?,
                ')' => self.close_group()?,
                '|' => self.begin('|'),
                '^' | '$' | '.' => self.piece(sign),
                '[' => {
                    class::read(&mut self.rest, &mut self.out)?;
                    self.before = Before::Piece;
                }
                '*' | '+' | '?' => self.repeat(&sign.to_string())?,
                '{' => self.braces()?,
                '\\' => self.escape()?,
                literal => self.literal(literal),
            }
        }
        if self.open > 0 {
            return Err(Invalid("missing closing )"));
        }
        Ok(self.out)
    }

    fn begin(&mut self, sign: char) {
        self.out.push(sign);
        self.before = Before::Nothing;
    }

    fn piece(&mut self, sign: char) {
        self.out.push(sign);
        self.before = Before::Piece;
    }

    fn literal(&mut self, literal: char) {
        write_char(&mut self.out, literal);
        self.before = Before::Piece;
    }

    fn close_group(&mut self) -> Result<(), Invalid> {
        self.open = self.open.checked_sub(1).ok_or(Invalid("unexpected )"))?;
        self.piece(')');
        Ok(())
    }

    fn open_group(&mut self) -> Result<(), Invalid> {
        if self.open >= NESTED_MAX {
            return Err(Invalid("expression too large"));
        }
        if self.rest.next_if_eq(&'?').is_none() {
            self.open += 1;
            self.begin('(');
            return Ok(());
        }
        let named = match self.rest.peek() {
            Some('P') => {
                self.rest.next();
                self.rest.next_if_eq(&'<').ok_or(UNSUPPORTED)?;
                true
            }
            _ => self.rest.next_if_eq(&'<').is_some(),
        };
        if named { self.name() } else { self.flags() }
    }

    /// The name of a group: nobody asks for what it captured, so only its validity counts.
    fn name(&mut self) -> Result<(), Invalid> {
        const BAD: Invalid = Invalid("invalid named capture");
        let mut name = String::new();
        loop {
            match self.rest.next().ok_or(BAD)? {
                '>' => break,
                sign if sign.is_ascii_alphanumeric() || sign == '_' => name.push(sign),
                _ => return Err(BAD),
            }
        }
        if name.is_empty() {
            return Err(BAD);
        }
        if !self.names.insert(name) {
            return Err(Invalid("duplicate capture group name"));
        }
        self.open += 1;
        self.begin('(');
        Ok(())
    }

    /// `(?flags)` or `(?flags:`.
    fn flags(&mut self) -> Result<(), Invalid> {
        let mut flags = String::new();
        let mut off = false;
        loop {
            match self.rest.next().ok_or(Invalid("missing closing )"))? {
                flag @ ('i' | 'm' | 's' | 'U') => {
                    // The crate refuses a flag that is given twice; RE2 takes the last.
                    flags.retain(|given| given != flag);
                    flags.push(flag);
                }
                '-' if !off => {
                    off = true;
                    flags.push('-');
                }
                end @ (':' | ')') if !flags.ends_with('-') => {
                    self.write_flags(&flags, end);
                    return Ok(());
                }
                _ => return Err(UNSUPPORTED),
            }
        }
    }

    fn write_flags(&mut self, flags: &str, end: char) {
        if end == ':' {
            self.open += 1;
            self.out.push_str(&format!("(?{flags}:"));
            self.before = Before::Nothing;
        } else if !flags.is_empty() {
            self.out.push_str(&format!("(?{flags})"));
        }
    }

    fn repeat(&mut self, operator: &str) -> Result<(), Invalid> {
        match self.before {
            Before::Nothing => Err(Invalid("missing argument to repetition operator")),
            Before::Repetition => Err(Invalid("invalid nested repetition operator")),
            Before::Piece => {
                self.out.push_str(operator);
                if self.rest.next_if_eq(&'?').is_some() {
                    self.out.push('?');
                }
                self.before = Before::Repetition;
                Ok(())
            }
        }
    }

    /// `{n}`, `{n,}`, `{n,m}`; anything else that begins so is a literal brace.
    fn braces(&mut self) -> Result<(), Invalid> {
        let mut ahead = self.rest.clone();
        let Some((least, most)) = counts(&mut ahead) else {
            self.literal('{');
            return Ok(());
        };
        let most_or_least = most.flatten().unwrap_or(least);
        if least > REPEAT_MAX || most_or_least > REPEAT_MAX || most_or_least < least {
            return Err(Invalid("invalid repeat count"));
        }
        self.rest = ahead;
        let operator = match most {
            None => format!("{{{least}}}"),
            Some(None) => format!("{{{least},}}"),
            Some(Some(most)) => format!("{{{least},{most}}}"),
        };
        self.repeat(&operator)
    }

    fn escape(&mut self) -> Result<(), Invalid> {
        match self.rest.peek().copied() {
            Some('Q') => {
                self.rest.next();
                self.quoted();
            }
            Some(sign @ ('A' | 'z' | 'b' | 'B')) => {
                self.rest.next();
                self.out.push('\\');
                self.piece(sign);
            }
            _ => {
                match class::escaped(&mut self.rest)? {
                    class::Escaped::Char(literal) => write_char(&mut self.out, literal),
                    class::Escaped::Class(class) => self.out.push_str(&class),
                }
                self.before = Before::Piece;
            }
        }
        Ok(())
    }

    /// Up to `\E` or the end, all is literal.
    fn quoted(&mut self) {
        while let Some(literal) = self.rest.next() {
            if literal == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(literal);
        }
    }
}

const UNSUPPORTED: Invalid = Invalid("invalid or unsupported Perl syntax");

/// One character, written so that nothing around it changes what it means.
fn write_char(out: &mut String, literal: char) {
    if literal.is_ascii_alphanumeric() {
        out.push(literal);
    } else {
        out.push_str(&format!(r"\x{{{:X}}}", u32::from(literal)));
    }
}

/// A count and, after a comma, perhaps another, up to the brace.
fn counts(rest: &mut Peekable<Chars<'_>>) -> Option<(u32, Option<Option<u32>>)> {
    let least = number(rest)?;
    let mut most = None;
    if rest.next_if_eq(&',').is_some() {
        most = Some(match rest.peek()? {
            '}' => None,
            _ => Some(number(rest)?),
        });
    }
    rest.next_if_eq(&'}').map(|_| (least, most))
}

/// A number without leading zeros; one that is too long for any bound is as good as the largest.
fn number(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}
