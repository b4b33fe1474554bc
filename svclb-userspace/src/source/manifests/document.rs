//! From the bytes of a file to objects: a pure function.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::{budget, options, render_options};

use super::object::{Object, ObjectId, Read, read};
use crate::problem::Problem;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// The objects that can be used, with the number of their document.
    pub(super) objects: BTreeMap<ObjectId, (usize, Object)>,
    /// Objects that are there but cannot be used.
    pub(super) broken: Vec<ObjectId>,
    /// Something is there, but it cannot be said what.
    pub(super) illegible: bool,
    /// What is wrong.
    pub(super) problems: Vec<Problem>,
}

/// Reads all documents of the file `name`. One that is wrong does not keep the others from being
/// read.
pub(super) fn parse(name: &str, bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            parsed.illegible = true;
            parsed.problems.push(Problem::new("", "", error).at(name, 0));
            return parsed;
        }
    };
    let mut number = 0;
    for document in split(text) {
        match to_value(&document) {
            Ok(Value::Null) => continue,
            Ok(value) => {
                number += 1;
                parsed.take_value(&value, name, number);
            }
            Err(message) => {
                number += 1;
                parsed.illegible = true;
                parsed.problems.push(Problem::new("", "", message).at(name, number));
            }
        }
    }
    parsed
}

impl Parsed {
    /// Takes a document in: an object, or a list of them.
    fn take_value(&mut self, value: &Value, file: &str, document: usize) {
        let is_list = value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match value["items"].as_array().filter(|_| is_list) {
            None => self.take(read(value, ""), file, document),
            Some(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.take(read(item, &format!("items[{i}]")), file, document);
                }
            }
        }
    }

    fn take(&mut self, read: Read, file: &str, document: usize) {
        match read {
            Read::Ignored => {}
            Read::Broken(id, problem) => {
                self.illegible |= id.is_none();
                self.broken.extend(id);
                self.problems.push(problem.at(file, document));
            }
            Read::Object(id, object, notes) => {
                self.problems.extend(notes.into_iter().map(|note| note.at(file, document)));
                if let Some((first, _)) = self.objects.get(&id) {
                    let message = format!("defined in document {first} already; ignored here");
                    self.problems.push(Problem::new(&id, "", message).at(file, document));
                    return;
                }
                self.objects.insert(id, (document, *object));
            }
        }
    }
}

/// A part of a file between two markers.
struct Document<'a> {
    text: &'a str,
    /// How many lines of the file come before it.
    line: u64,
}

/// Splits at the lines that start a document. Such a line is a marker wherever it stands, within
/// block scalars too (YAML 1.2, `c-forbidden`), so no parser is needed to find it.
fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 0, 0);
    for (line, content) in (0..).zip(text.split_inclusive('\n')) {
        let rest = content.strip_prefix("---");
        let is_marker = rest.is_some_and(|rest| rest.trim_start() != rest || rest.is_empty());
        if is_marker && at > start {
            documents.push(Document { text: &text[start..at], line: start_line });
            (start, start_line) = (at, line);
        }
        at += content.len();
    }
    documents.push(Document { text: &text[start..], line: start_line });
    documents
}

fn to_value(document: &Document<'_>) -> Result<Value, String> {
    // The author of a manifest is trusted with its size; aliases have limits of their own.
    let budget = budget! {
        max_nodes: usize::MAX,
        max_events: usize::MAX,
        max_total_scalar_bytes: usize::MAX,
    };
    let options = options! { budget: budget, with_snippet: false };
    serde_saphyr::from_str_with_options(document.text, options)
        .map_err(|error| error.render_with_options(render_options! { line_offset: document.line }))
}
