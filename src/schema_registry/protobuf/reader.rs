//! The words of a `.proto` text: names, numbers, strings and signs, with comments and blanks skipped.

use crate::schema_registry::format::SchemaError;

/// Reads a text from its start to its end, and never goes back by more than a look at the next sign.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// An error at the place that was read last.
    pub(super) fn error(&self, what: impl AsRef<str>) -> SchemaError {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|sign| *sign != '\n').count() + 1;
        SchemaError::new(format!("line {line}, column {column}: {}", what.as_ref()))
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Past blanks and comments. A comment that does not end reaches the end of the text.
    fn skip(&mut self) -> Result<(), SchemaError> {
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c), _) => self.at += 1,
                (Some(b'/'), Some(b'/')) => {
                    self.at = self.text[self.at..]
                        .find('\n')
                        .map_or(self.text.len(), |end| self.at + end);
                }
                (Some(b'/'), Some(b'*')) => {
                    let end = self.text[self.at + 2..].find("*/");
                    self.at += end.ok_or_else(|| self.error("a comment does not end"))? + 4;
                }
                _ => return Ok(()),
            }
        }
    }

    /// The next sign, which stays unread; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, SchemaError> {
        self.skip()?;
        Ok(self.byte(0))
    }

    /// Reads the sign if it is the next.
    pub(super) fn take(&mut self, sign: u8) -> Result<bool, SchemaError> {
        let found = self.peek()? == Some(sign);
        self.at += usize::from(found);
        Ok(found)
    }

    /// Reads the sign, which must be the next.
    pub(super) fn require(&mut self, sign: u8) -> Result<(), SchemaError> {
        if self.take(sign)? {
            return Ok(());
        }
        let found = self.text[self.at..]
            .chars()
            .next()
            .map_or_else(|| "the end".to_owned(), |found| format!("`{found}`"));
        Err(self.error(format!("expected `{}`, found {found}", char::from(sign))))
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> Result<&'a str, SchemaError> {
        self.skip()?;
        let rest = &self.text[self.at..];
        let length = rest.bytes().position(|byte| !belongs(byte)).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.error("expected a word"));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// A name without dots, a keyword.
    pub(super) fn ident(&mut self) -> Result<&'a str, SchemaError> {
        self.run(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// A word of an option's value: a number, a sign before it, a name.
    pub(super) fn word(&mut self) -> Result<&'a str, SchemaError> {
        self.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+'))
    }

    /// A name with its dots, as it is written but for blanks between its parts.
    pub(super) fn name(&mut self) -> Result<String, SchemaError> {
        let mut name = String::new();
        if self.take(b'.')? {
            name.push('.');
        }
        name.push_str(self.ident()?);
        while self.take(b'.')? {
            name.push('.');
            name.push_str(self.ident()?);
        }
        Ok(name)
    }

    /// A name in square brackets: an extension's, or the address of an `Any`'s type.
    pub(super) fn bracketed(&mut self) -> Result<String, SchemaError> {
        let name = self.run(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/')
        })?;
        self.require(b']')?;
        Ok(format!("[{name}]"))
    }

    /// A whole number, decimal, octal or hexadecimal.
    pub(super) fn int(&mut self) -> Result<i32, SchemaError> {
        let negative = self.take(b'-')?;
        let word = self.ident()?;
        let lower = word.to_ascii_lowercase();
        let read = match lower.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16),
            None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower, 8),
            None => lower.parse(),
        };
        let number = read.ok().map(|number| if negative { -number } else { number });
        number
            .and_then(|number| i32::try_from(number).ok())
            .ok_or_else(|| self.error(format!("`{word}` is not a whole number of 32 bits")))
    }

    /// Whether a string is next.
    pub(super) fn at_string(&mut self) -> Result<bool, SchemaError> {
        Ok(matches!(self.peek()?, Some(b'"' | b'\'')))
    }

    /// A string, unescaped; strings that follow one another are one.
    pub(super) fn string(&mut self) -> Result<String, SchemaError> {
        let mut out = String::new();
        if !self.at_string()? {
            return Err(self.error("expected a string in quotes"));
        }
        while self.at_string()? {
            self.one_string(&mut out)?;
        }
        Ok(out)
    }

    fn next_char(&mut self) -> Result<char, SchemaError> {
        let next = self.text[self.at..].chars().next();
        let next = next.ok_or_else(|| self.error("a string does not end"))?;
        self.at += next.len_utf8();
        Ok(next)
    }

    fn one_string(&mut self, out: &mut String) -> Result<(), SchemaError> {
        let quote = self.next_char()?;
        loop {
            match self.next_char()? {
                sign if sign == quote => return Ok(()),
                '\n' => return Err(self.error("a string does not end on its line")),
                '\\' => out.push(self.escape()?),
                sign => out.push(sign),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SchemaError> {
        Ok(match self.next_char()? {
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'x' | 'X' => self.digits(16, 2)?,
            'u' => self.digits(16, 4)?,
            'U' => self.digits(16, 8)?,
            '0'..='7' => {
                self.at -= 1;
                self.digits(8, 3)?
            }
            sign => sign,
        })
    }

    fn digits(&mut self, radix: u32, most: usize) -> Result<char, SchemaError> {
        let rest = &self.text[self.at..];
        let length = rest.chars().take(most).take_while(|sign| sign.is_digit(radix)).count();
        let read = u32::from_str_radix(&rest[..length], radix).ok().and_then(char::from_u32);
        self.at += length;
        read.ok_or_else(|| self.error("an escape names no character"))
    }
}
