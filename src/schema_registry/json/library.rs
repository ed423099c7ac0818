//! What a `$ref` may mean: the documents of a schema, their parts by id and anchor, and the way to them.

use std::collections::BTreeMap;

use super::text::Json;

/// The base of a schema that names none.
pub(super) const BASE: &str = "mem://input/";

/// A part of a document, and the base that references inside of it are resolved against.
pub(super) type Part<'a> = (&'a Json, String);

/// Documents and what they name. Keeps to the first of two that have the same name.
#[derive(Debug, Default)]
pub(super) struct Library<'a> {
    /// By address without a fragment.
    resources: BTreeMap<String, Part<'a>>,
    /// By base and name.
    anchors: BTreeMap<(String, String), Part<'a>>,
    /// The names under which documents were given, as they are.
    documents: Vec<(String, Part<'a>)>,
}

impl<'a> Library<'a> {
    /// Adds a document under its name, and all that it names itself.
    pub(super) fn add(&mut self, name: &str, root: &'a Json, id_keyword: &str) {
        let address = join(BASE, name);
        let own = root.get(id_keyword).and_then(Json::as_str);
        let base = own.map_or_else(|| address.clone(), |id| join(&address, without_fragment(id)));
        let part = (root, base);
        self.documents.push((name.to_owned(), part.clone()));
        self.resources.entry(address).or_insert_with(|| part.clone());
        self.resources.entry(without_fragment(name).to_owned()).or_insert_with(|| part.clone());
        self.index(root, &part.1, id_keyword);
    }

    /// The text has bound the depth.
    fn index(&mut self, json: &'a Json, base: &str, id_keyword: &str) {
        let inner = inner_base(json, base, id_keyword);
        if let Some(id) = json.get(id_keyword).and_then(Json::as_str) {
            self.resources.entry(inner.clone()).or_insert_with(|| (json, inner.clone()));
            if let Some((_, name)) = id.split_once('#').filter(|(_, name)| !name.is_empty()) {
                self.anchors
                    .entry((inner.clone(), name.to_owned()))
                    .or_insert_with(|| (json, inner.clone()));
            }
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = json.get(keyword).and_then(Json::as_str) {
                self.anchors
                    .entry((inner.clone(), name.to_owned()))
                    .or_insert_with(|| (json, inner.clone()));
            }
        }
        for (_, value) in json.members() {
            self.index(value, &inner, id_keyword);
        }
        for value in json.elements() {
            self.index(value, &inner, id_keyword);
        }
    }

    /// What a reference means that stands where `base` is the base.
    pub(super) fn resolve(
        &self,
        base: &str,
        reference: &str,
        id_keyword: &str,
    ) -> Option<Part<'a>> {
        let (address, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let (root, root_base) = self.document(base, address)?;
        let fragment = percent_decoded(fragment);
        if fragment.is_empty() {
            return Some((root, root_base));
        }
        let Some(pointer) = fragment.strip_prefix('/') else {
            return self.anchors.get(&(root_base, fragment)).cloned();
        };
        let mut at = (root, root_base);
        for token in pointer.split('/') {
            let name = token.replace("~1", "/").replace("~0", "~");
            let next = match at.0 {
                Json::Array(elements) => elements.get(name.parse::<usize>().ok()?)?,
                object => object.get(&name)?,
            };
            at = (next, inner_base(next, &at.1, id_keyword));
        }
        Some(at)
    }

    fn document(&self, base: &str, address: &str) -> Option<Part<'a>> {
        let wanted = if address.is_empty() { base.to_owned() } else { join(base, address) };
        if let Some(part) = self.resources.get(&wanted).or_else(|| self.resources.get(address)) {
            return Some(part.clone());
        }
        self.document_named(&wanted)
    }

    /// The document whose name an address ends with: names are relative to where the referring schema lies, which it
    /// need not say.
    fn document_named(&self, address: &str) -> Option<Part<'a>> {
        let named = self.documents.iter().find(|(name, _)| is_named(address, name));
        named.map(|(_, part)| part.clone())
    }
}

/// Whether an address means the document of this name.
pub(super) fn is_named(address: &str, name: &str) -> bool {
    let name = without_fragment(name.trim_start_matches("./"));
    let before = address.strip_suffix(name).filter(|_| !name.is_empty());
    before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The base inside of a value: its own id's address, where it has one.
pub(super) fn inner_base(json: &Json, base: &str, id_keyword: &str) -> String {
    let id = json.get(id_keyword).and_then(Json::as_str);
    let address = id.map(without_fragment).filter(|address| !address.is_empty());
    address.map_or_else(|| base.to_owned(), |address| join(base, address))
}

fn without_fragment(address: &str) -> &str {
    address.split_once('#').map_or(address, |(address, _)| address)
}

/// An address relative to a base, after RFC 3986, section 5.2, for what addresses of schemas are made of.
fn join(base: &str, address: &str) -> String {
    let scheme = address.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|sign: char| sign.is_ascii_alphabetic())
            && scheme.chars().all(|sign| sign.is_ascii_alphanumeric() || "+-.".contains(sign))
    });
    if scheme {
        return address.to_owned();
    }
    let authority = base.find("://").map_or(0, |at| at + 3);
    let root = base[authority..].find('/').map_or(base.len(), |at| authority + at);
    if address.starts_with('/') {
        return format!("{}{address}", &base[..root]);
    }
    let mut folder: Vec<&str> = base[root..].split('/').skip(1).collect();
    folder.pop();
    for part in address.split('/') {
        match part {
            "." => {}
            ".." => drop(folder.pop()),
            part => folder.push(part),
        }
    }
    format!("{}/{}", &base[..root], folder.join("/"))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = code.filter(|_| byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(code.unwrap_or(byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
