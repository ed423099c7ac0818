//! From elements to text: the order, blank lines and indentation of Confluent's `ProtobufSchemaUtils.toString`.
//!
//! The text is what a registry stores and compares, so each blank counts. Two things differ on purpose, where
//! Confluent's text would no longer be a schema: a `bytes` default keeps its quotes, and weak imports are kept.

use std::fmt::Write as _;

use super::element::{
    Enum, Extend, Extensions, FIELD_NUMBER_MAX, Field, File, Group, Message, Oneof, OptionElement,
    Reserved, Rpc, Service, Value,
};

/// The text of a file.
pub(super) fn print(file: &File) -> String {
    let mut out = Out::default();
    if let Some(syntax) = &file.syntax {
        out.line(&format!("syntax = \"{syntax}\";"));
    }
    if let Some(package) = &file.package {
        out.line(&format!("package {package};"));
    }
    let imports =
        [("", &file.imports), ("public ", &file.public_imports), ("weak ", &file.weak_imports)];
    if imports.iter().any(|(_, files)| !files.is_empty()) {
        out.section();
    }
    for (way, files) in imports {
        for name in files {
            out.line(&format!("import {way}\"{}\";", escape(name)));
        }
    }
    out.options_section(&file.options);
    if !file.messages.is_empty() || !file.enums.is_empty() {
        out.section();
    }
    file.messages.iter().for_each(|message| out.message(message));
    file.enums.iter().for_each(|declared| out.enumeration(declared));
    out.each_in_section(&file.extends, Out::extend);
    out.each_in_section(&file.services, Out::service);
    out.text
}

#[derive(Default)]
struct Out {
    text: String,
    depth: usize,
    /// A block's first line stands without its end: it closes on the same line if nothing follows.
    open: bool,
}

impl Out {
    fn indent(&mut self) {
        self.indent_by(self.depth);
    }

    fn indent_by(&mut self, depth: usize) {
        for _ in 0..depth {
            self.text.push_str("  ");
        }
    }

    /// A line, or several.
    fn line(&mut self, text: &str) {
        for line in text.split('\n') {
            self.indent();
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    /// Begins a part of a block: an empty line between two of them. Confluent indents a block as a whole by what
    /// surrounds it, so that the empty lines in it have the blanks of the block's first line, and not of its content.
    fn section(&mut self) {
        if !self.open {
            self.indent_by(self.depth.saturating_sub(1));
        }
        self.open = false;
        self.text.push('\n');
    }

    fn block(&mut self, head: &str) {
        self.indent();
        self.text.push_str(head);
        self.text.push_str(" {");
        self.open = true;
        self.depth += 1;
    }

    fn end(&mut self) {
        self.depth -= 1;
        if !self.open {
            self.indent();
        }
        self.open = false;
        self.text.push_str("}\n");
    }

    fn each_in_section<T>(&mut self, items: &[T], print: fn(&mut Self, &T)) {
        if !items.is_empty() {
            self.section();
        }
        items.iter().for_each(|item| print(self, item));
    }

    fn option_statement(&mut self, option: &OptionElement) {
        self.line(&format!("option {};", option_text(option)));
    }

    fn options_section(&mut self, options: &[OptionElement]) {
        self.each_in_section(options, Self::option_statement);
    }

    fn message(&mut self, message: &Message) {
        self.block(&format!("message {}", message.name));
        self.message_body(message);
        self.end();
    }

    fn message_body(&mut self, message: &Message) {
        self.each_in_section(&message.reserved, |out, values| out.reserved(values));
        self.options_section(&message.options);
        self.each_in_section(&message.fields, Self::field);
        self.each_in_section(&message.oneofs, Self::oneof);
        self.each_in_section(&message.groups, Self::group);
        self.each_in_section(&message.extensions, Self::extensions);
        self.each_in_section(&message.extends, Self::extend);
        if !message.messages.is_empty() || !message.enums.is_empty() {
            self.section();
        }
        message.messages.iter().for_each(|message| self.message(message));
        message.enums.iter().for_each(|declared| self.enumeration(declared));
    }

    fn reserved(&mut self, values: &[Reserved]) {
        self.line(&format!("reserved {};", ranges(values)));
    }

    fn extensions(&mut self, extensions: &Extensions) {
        let options = bracketed(&extensions.options);
        self.line(&format!("extensions {}{options};", ranges(&extensions.values)));
    }

    fn oneof(&mut self, oneof: &Oneof) {
        self.block(&format!("oneof {}", oneof.name));
        self.options_section(&oneof.options);
        self.each_in_section(&oneof.fields, Self::field);
        self.each_in_section(&oneof.groups, Self::group);
        self.end();
    }

    fn group(&mut self, group: &Group) {
        let label = group.label.map_or(String::new(), |label| format!("{} ", label.word()));
        let options = bracketed(&group.options);
        self.block(&format!("{label}group {} = {}{options}", group.body.name, group.number));
        self.message_body(&group.body);
        self.end();
    }

    fn extend(&mut self, extend: &Extend) {
        self.block(&format!("extend {}", extend.name));
        self.each_in_section(&extend.fields, Self::field);
        self.each_in_section(&extend.groups, Self::group);
        self.end();
    }

    fn field(&mut self, field: &Field) {
        let label = field.label.map_or(String::new(), |label| format!("{} ", label.word()));
        let mut options: Vec<OptionElement> = field.options.clone();
        if let Some(default) = &field.default {
            let quoted = matches!(field.kind.as_str(), "string" | "bytes");
            let value =
                if quoted { Value::String(default.clone()) } else { Value::Word(default.clone()) };
            options.push(OptionElement { name: "default".to_owned(), custom: false, value });
        }
        if let Some(name) = &field.json_name {
            let value = Value::String(name.clone());
            options.push(OptionElement { name: "json_name".to_owned(), custom: false, value });
        }
        let options = bracketed(&options);
        self.line(&format!("{label}{} {} = {}{options};", field.kind, field.name, field.number));
    }

    fn enumeration(&mut self, declared: &Enum) {
        self.block(&format!("enum {}", declared.name));
        self.each_in_section(&declared.reserved, |out, values| out.reserved(values));
        let more = !declared.options.is_empty() || !declared.values.is_empty();
        if declared.reserved.is_empty() && more {
            self.section();
        }
        declared.options.iter().for_each(|option| self.option_statement(option));
        for value in &declared.values {
            self.line(&format!("{} = {}{};", value.name, value.number, bracketed(&value.options)));
        }
        self.end();
    }

    fn service(&mut self, service: &Service) {
        self.block(&format!("service {}", service.name));
        self.options_section(&service.options);
        self.each_in_section(&service.rpcs, Self::rpc);
        self.end();
    }

    fn rpc(&mut self, rpc: &Rpc) {
        let [request, response] = [&rpc.request, &rpc.response]
            .map(|way| format!("{}{}", if way.streaming { "stream " } else { "" }, way.kind));
        let head = format!("rpc {} ({request}) returns ({response})", rpc.name);
        if rpc.options.is_empty() {
            return self.line(&format!("{head};"));
        }
        self.line(&format!("{head} {{"));
        self.depth += 1;
        rpc.options.iter().for_each(|option| self.option_statement(option));
        self.depth -= 1;
        self.line("};");
    }
}

fn ranges(values: &[Reserved]) -> String {
    let words: Vec<String> = values
        .iter()
        .map(|value| match value {
            Reserved::Name(name) => format!("\"{}\"", escape(name)),
            Reserved::Number(number) => number.to_string(),
            Reserved::Range(start, end) if *end < FIELD_NUMBER_MAX => format!("{start} to {end}"),
            Reserved::Range(start, _) => format!("{start} to max"),
        })
        .collect();
    words.join(", ")
}

fn option_text(option: &OptionElement) -> String {
    let name = if option.custom { format!("({})", option.name) } else { option.name.clone() };
    match &option.value {
        Value::Nested(rest) => format!("{name}.{}", option_text(rest)),
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(value_text).collect();
            format!("{name} = {}", in_brackets(&values))
        }
        value => format!("{name} = {}", value_text(value)),
    }
}

/// Options after a field, with the blank before them; nothing if there are none.
fn bracketed(options: &[OptionElement]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let options: Vec<String> = options.iter().map(option_text).collect();
    format!(" {}", in_brackets(&options))
}

/// One stands on the line, several each on its own.
fn in_brackets(values: &[String]) -> String {
    match values {
        [one] => format!("[{one}]"),
        values => lines_between('[', values, ']'),
    }
}

fn lines_between(open: char, values: &[String], close: char) -> String {
    let mut out = format!("{open}\n");
    for (number, value) in values.iter().enumerate() {
        let comma = if number + 1 < values.len() { "," } else { "" };
        for line in format!("{value}{comma}").split('\n') {
            // Into a string: it cannot fail.
            let _ = writeln!(out, "  {line}");
        }
    }
    out.push(close);
    out
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", escape(text)),
        Value::Word(word) => word.clone(),
        Value::Nested(option) => option_text(option),
        Value::Map(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(name, value)| format!("{name}: {}", value_text(value)))
                .collect();
            lines_between('{', &entries, '}')
        }
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(value_text).collect();
            lines_between('[', &values, ']')
        }
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' | '\'' | '"' => out.extend(['\\', sign]),
            sign => out.push(sign),
        }
    }
    out
}
