//! From a `.proto` text to its elements.
//!
//! The grammar of proto2 and proto3; what is grammatical and still no schema (names that nothing declares, numbers
//! used twice) is the compiler's to refuse.

use super::element::{
    Enum, EnumValue, Extend, Extensions, FIELD_NUMBER_MAX, Field, File, Group, Label, Message,
    Oneof, OptionElement, Reserved, Rpc, Service, Stream, Value,
};
use super::literal::{bracketed_options, option};
use super::reader::Reader;
use crate::schema_registry::format::SchemaError;

/// How deep messages, and values of options, may stand in one another: protoc's limit.
pub(super) const DEPTH_MAX: usize = 32;

type Parsed<T> = Result<T, SchemaError>;

/// Parses a whole text.
///
/// # Errors
/// If the text breaks the grammar, or nests more than [`DEPTH_MAX`] deep.
pub(super) fn parse(text: &str) -> Parsed<File> {
    let mut parser = Parser { reader: Reader::new(text), proto3: false };
    let mut file = File::default();
    while parser.reader.peek()?.is_some() {
        parser.file_declaration(&mut file)?;
    }
    Ok(file)
}

struct Parser<'a> {
    reader: Reader<'a>,
    proto3: bool,
}

impl Parser<'_> {
    fn file_declaration(&mut self, file: &mut File) -> Parsed<()> {
        if self.reader.take(b';')? {
            return Ok(());
        }
        match self.reader.ident()? {
            "syntax" => self.syntax(file)?,
            "edition" => {
                return Err(self
                    .reader
                    .error("editions are not supported, as in Confluent's registry"));
            }
            "package" if file.package.is_some() => {
                return Err(self.reader.error("a second package"));
            }
            "package" => file.package = Some(self.named_end()?),
            "import" => self.import(file)?,
            "option" => file.options.push(self.option_statement()?),
            "message" => file.messages.push(self.message(0)?),
            "enum" => file.enums.push(self.enumeration()?),
            "extend" => file.extends.push(self.extend(0)?),
            "service" => file.services.push(self.service()?),
            word => {
                return Err(self.reader.error(format!("`{word}` begins no declaration of a file")));
            }
        }
        Ok(())
    }

    fn syntax(&mut self, file: &mut File) -> Parsed<()> {
        if *file != File::default() {
            return Err(self.reader.error("`syntax` must be the first declaration"));
        }
        self.reader.require(b'=')?;
        let syntax = self.reader.string()?;
        if syntax != "proto2" && syntax != "proto3" {
            return Err(self
                .reader
                .error(format!("`{syntax}` is not a syntax: proto2 and proto3 are")));
        }
        self.proto3 = syntax == "proto3";
        file.syntax = Some(syntax);
        self.reader.require(b';')
    }

    fn import(&mut self, file: &mut File) -> Parsed<()> {
        let imports = if self.reader.at_string()? {
            &mut file.imports
        } else {
            match self.reader.ident()? {
                "public" => &mut file.public_imports,
                "weak" => &mut file.weak_imports,
                word => return Err(self.reader.error(format!("`{word}` is not a way to import"))),
            }
        };
        imports.push(self.reader.string()?);
        self.reader.require(b';')
    }

    fn named_end(&mut self) -> Parsed<String> {
        let name = self.reader.name()?;
        self.reader.require(b';')?;
        Ok(name)
    }

    fn option_statement(&mut self) -> Parsed<OptionElement> {
        let option = option(&mut self.reader)?;
        self.reader.require(b';')?;
        Ok(option)
    }

    fn message(&mut self, depth: usize) -> Parsed<Message> {
        let mut message = Message { name: self.reader.ident()?.to_owned(), ..Message::default() };
        self.message_body(&mut message, depth)?;
        Ok(message)
    }

    fn message_body(&mut self, message: &mut Message, depth: usize) -> Parsed<()> {
        if depth >= DEPTH_MAX {
            return Err(self
                .reader
                .error(format!("messages are nested more than {DEPTH_MAX} deep")));
        }
        self.reader.require(b'{')?;
        while !self.reader.take(b'}')? {
            self.message_declaration(message, depth)?;
        }
        Ok(())
    }

    fn message_declaration(&mut self, message: &mut Message, depth: usize) -> Parsed<()> {
        if self.reader.take(b';')? {
            return Ok(());
        }
        if self.reader.peek()? == Some(b'.') {
            let kind = self.reader.name()?;
            message.fields.push(self.field_rest(None, kind)?);
            return Ok(());
        }
        match self.reader.ident()? {
            "option" => message.options.push(self.option_statement()?),
            "reserved" => message.reserved.push(self.reserved()?),
            "extensions" => message.extensions.push(self.extensions()?),
            "message" if self.named_next()? => message.messages.push(self.message(depth + 1)?),
            "enum" if self.named_next()? => message.enums.push(self.enumeration()?),
            "extend" => message.extends.push(self.extend(depth)?),
            "oneof" => message.oneofs.push(self.oneof(depth)?),
            word => match self.field(word, depth)? {
                Member::Field(field) => message.fields.push(field),
                Member::Group(group) => message.groups.push(group),
            },
        }
        Ok(())
    }

    /// Whether a word follows, as it does after a keyword and not after a type of that name with a dot.
    fn named_next(&mut self) -> Parsed<bool> {
        Ok(self.reader.peek()?.is_some_and(|sign| sign != b'.'))
    }

    /// A field whose first word has been read: its label, or its type where there is none.
    fn field(&mut self, word: &str, depth: usize) -> Parsed<Member> {
        let label = match word {
            "required" => Some(Label::Required),
            "optional" => Some(Label::Optional),
            "repeated" => Some(Label::Repeated),
            _ => None,
        };
        let kind =
            if label.is_some() { self.field_type(None)? } else { self.field_type(Some(word))? };
        if kind == "group" {
            return Ok(Member::Group(self.group(label, depth)?));
        }
        if label.is_none() && !self.proto3 && !kind.starts_with("map<") {
            return Err(self
                .reader
                .error(format!("a field of type `{kind}` needs a label in proto2")));
        }
        Ok(Member::Field(self.field_rest(label, kind)?))
    }

    /// A type whose first word may have been read.
    fn field_type(&mut self, first: Option<&str>) -> Parsed<String> {
        let mut kind = match first {
            Some(first) => first.to_owned(),
            None => self.reader.name()?,
        };
        if kind == "map" && self.reader.take(b'<')? {
            let key = self.reader.name()?;
            self.reader.require(b',')?;
            let value = self.reader.name()?;
            self.reader.require(b'>')?;
            return Ok(format!("map<{key}, {value}>"));
        }
        while first.is_some() && self.reader.take(b'.')? {
            kind.push('.');
            kind.push_str(self.reader.ident()?);
        }
        Ok(kind)
    }

    fn field_rest(&mut self, label: Option<Label>, kind: String) -> Parsed<Field> {
        let name = self.reader.ident()?.to_owned();
        self.reader.require(b'=')?;
        let number = self.reader.int()?;
        let mut options = bracketed_options(&mut self.reader)?;
        self.reader.require(b';')?;
        let default = strip(&mut options, "default");
        let json_name = strip(&mut options, "json_name");
        Ok(Field { label, kind, name, number, default, json_name, options })
    }

    fn group(&mut self, label: Option<Label>, depth: usize) -> Parsed<Group> {
        let mut body = Message { name: self.reader.ident()?.to_owned(), ..Message::default() };
        self.reader.require(b'=')?;
        let number = self.reader.int()?;
        let options = bracketed_options(&mut self.reader)?;
        self.message_body(&mut body, depth + 1)?;
        Ok(Group { label, number, options, body })
    }

    fn oneof(&mut self, depth: usize) -> Parsed<Oneof> {
        let mut oneof = Oneof { name: self.reader.ident()?.to_owned(), ..Oneof::default() };
        self.reader.require(b'{')?;
        while !self.reader.take(b'}')? {
            if self.reader.take(b';')? {
                continue;
            }
            match self.field_type(None)?.as_str() {
                "option" => oneof.options.push(self.option_statement()?),
                "group" => oneof.groups.push(self.group(None, depth)?),
                kind => oneof.fields.push(self.field_rest(None, kind.to_owned())?),
            }
        }
        Ok(oneof)
    }

    fn extend(&mut self, depth: usize) -> Parsed<Extend> {
        let mut extend = Extend { name: self.reader.name()?, ..Extend::default() };
        self.reader.require(b'{')?;
        while !self.reader.take(b'}')? {
            if self.reader.take(b';')? {
                continue;
            }
            // A label may stand before a name that begins with a dot: the word ends where it does.
            let first = if self.reader.peek()? == Some(b'.') {
                self.reader.name()?
            } else {
                self.reader.ident()?.to_owned()
            };
            match self.field(&first, depth)? {
                Member::Field(field) => extend.fields.push(field),
                Member::Group(group) => extend.groups.push(group),
            }
        }
        Ok(extend)
    }

    fn enumeration(&mut self) -> Parsed<Enum> {
        let mut declared = Enum { name: self.reader.ident()?.to_owned(), ..Enum::default() };
        self.reader.require(b'{')?;
        while !self.reader.take(b'}')? {
            if self.reader.take(b';')? {
                continue;
            }
            match self.reader.ident()? {
                "option" => declared.options.push(self.option_statement()?),
                "reserved" => declared.reserved.push(self.reserved()?),
                name => declared.values.push(self.enum_value(name)?),
            }
        }
        Ok(declared)
    }

    fn enum_value(&mut self, name: &str) -> Parsed<EnumValue> {
        self.reader.require(b'=')?;
        let number = self.reader.int()?;
        let options = bracketed_options(&mut self.reader)?;
        self.reader.require(b';')?;
        Ok(EnumValue { name: name.to_owned(), number, options })
    }

    fn reserved(&mut self) -> Parsed<Vec<Reserved>> {
        let mut values = Vec::new();
        loop {
            values.push(if self.reader.at_string()? {
                Reserved::Name(self.reader.string()?)
            } else {
                self.range()?
            });
            if self.reader.take(b';')? {
                return Ok(values);
            }
            self.reader.require(b',')?;
        }
    }

    fn range(&mut self) -> Parsed<Reserved> {
        let start = self.reader.int()?;
        if !self.reader.peek()?.is_some_and(|sign| sign.is_ascii_alphabetic()) {
            return Ok(Reserved::Number(start));
        }
        if self.reader.ident()? != "to" {
            return Err(self.reader.error("expected `to` in a range"));
        }
        if self.reader.peek()? == Some(b'm') {
            return match self.reader.ident()? {
                "max" => Ok(Reserved::Range(start, FIELD_NUMBER_MAX)),
                word => Err(self.reader.error(format!("`{word}` ends no range"))),
            };
        }
        Ok(Reserved::Range(start, self.reader.int()?))
    }

    fn extensions(&mut self) -> Parsed<Extensions> {
        let mut values = vec![self.range()?];
        while self.reader.take(b',')? {
            values.push(self.range()?);
        }
        let options = bracketed_options(&mut self.reader)?;
        self.reader.require(b';')?;
        Ok(Extensions { values, options })
    }

    fn service(&mut self) -> Parsed<Service> {
        let mut service = Service { name: self.reader.ident()?.to_owned(), ..Service::default() };
        self.reader.require(b'{')?;
        while !self.reader.take(b'}')? {
            if self.reader.take(b';')? {
                continue;
            }
            match self.reader.ident()? {
                "option" => service.options.push(self.option_statement()?),
                "rpc" => service.rpcs.push(self.rpc()?),
                word => {
                    return Err(self
                        .reader
                        .error(format!("`{word}` begins no declaration of a service")));
                }
            }
        }
        Ok(service)
    }

    fn rpc(&mut self) -> Parsed<Rpc> {
        let name = self.reader.ident()?.to_owned();
        let request = self.stream()?;
        if self.reader.ident()? != "returns" {
            return Err(self.reader.error("expected `returns`"));
        }
        let response = self.stream()?;
        let mut options = Vec::new();
        if self.reader.take(b';')? {
            return Ok(Rpc { name, request, response, options });
        }
        self.reader.require(b'{')?;
        while !self.reader.take(b'}')? {
            if self.reader.take(b';')? {
                continue;
            }
            if self.reader.ident()? != "option" {
                return Err(self.reader.error("only options stand in an rpc"));
            }
            options.push(self.option_statement()?);
        }
        Ok(Rpc { name, request, response, options })
    }

    fn stream(&mut self) -> Parsed<Stream> {
        self.reader.require(b'(')?;
        let mut streaming = false;
        let kind = if self.reader.peek()? == Some(b'.') {
            self.reader.name()?
        } else {
            let first = self.reader.ident()?;
            streaming = first == "stream" && self.reader.peek()? != Some(b')');
            if streaming { self.reader.name()? } else { self.field_type(Some(first))? }
        };
        self.reader.require(b')')?;
        Ok(Stream { kind, streaming })
    }
}

enum Member {
    Field(Field),
    Group(Group),
}

/// Takes an option out that is a part of the field itself; the last one counts.
fn strip(options: &mut Vec<OptionElement>, name: &str) -> Option<String> {
    let mut found = None;
    options.retain(|option| match &option.value {
        Value::String(value) | Value::Word(value) if !option.custom && option.name == name => {
            found = Some(value.clone());
            false
        }
        _ => true,
    });
    found
}
