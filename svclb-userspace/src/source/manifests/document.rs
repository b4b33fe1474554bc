//! From the bytes of a file to objects: a pure function.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_saphyr::{budget, options, render_options};

use crate::{
    problem::Problem,
    source::object::{Object, ObjectId, Read, read},
};

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
            Read::Object(id, object) => {
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
    // `n` and `on` are names here, as in YAML 1.2.
    let options = options! { budget: budget, strict_booleans: true, with_snippet: false };
    serde_saphyr::from_str_with_options(document.text, options)
        .map_err(|error| error.render_with_options(render_options! { line_offset: document.line }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(u64, &str)> {
        split(text).into_iter().map(|document| (document.line, document.text)).collect()
    }

    #[test]
    fn documents_are_split_at_markers_only() {
        let text = "a: 1\n---\nb: |\n  ---\n  ----\n--- # next\nc: 1\n----\n---";
        assert_eq!(
            parts(text),
            [
                (0, "a: 1\n"),
                (1, "---\nb: |\n  ---\n  ----\n"),
                (5, "--- # next\nc: 1\n----\n"),
                (8, "---"),
            ]
        );
        assert_eq!(parts(""), [(0, "")]);
        assert_eq!(parts("---\na: 1\n"), [(0, "---\na: 1\n")]);
    }

    #[test]
    fn an_error_names_the_line_of_the_file() {
        let parsed = parse("a.yaml", b"# nothing\n---\n\n---\nkind: [a\n");
        let problems: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, ["a.yaml, document 1: unclosed bracket '[' at line 5, column 7"]);
        assert!(parsed.illegible);
    }

    #[test]
    fn bytes_that_are_no_text_are_said_to_be_so() {
        let parsed = parse("a.yaml", &[0xff, b'a']);
        assert!(parsed.illegible && parsed.problems.len() == 1);
    }

    #[test]
    fn a_large_list_is_no_problem() {
        let item = "- {apiVersion: v1, kind: Node, metadata: {name: n}, status: {}}\n";
        let text = format!("kind: List\nitems:\n{}", item.repeat(25_000));
        let parsed = parse("a.yaml", text.as_bytes());
        assert_eq!(parsed.objects.len(), 1);
        assert_eq!(parsed.problems.len(), 24_999, "all of one name");
    }

    #[test]
    fn aliases_do_not_explode() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
            text += &format!("a{i}: &a{i} [{aliases}]\n");
        }
        assert!(parse("a.yaml", text.as_bytes()).illegible);
    }
}
