use std::{collections::BTreeSet, fs, path::Path};

use super::*;
use crate::conformance::scenarios;

fn rows() -> impl Iterator<Item = &'static Row> {
    SECTIONS.iter().flat_map(|section| section.rows)
}

#[test]
fn rows_are_numbered_in_their_sections() {
    for section in SECTIONS {
        for (i, row) in section.rows.iter().enumerate() {
            assert_eq!(row.id, format!("{}.{}", section.number, i + 1), "{}", row.text);
        }
    }
}

#[test]
fn scenarios_belong_to_rows_and_have_names_of_their_own() {
    let ids: BTreeSet<&str> = rows().map(|row| row.id).collect();
    let mut names = BTreeSet::new();
    for scenario in scenarios::all() {
        assert!(ids.contains(scenario.row), "{}: no row {}", scenario.name, scenario.row);
        assert!(names.insert(scenario.name), "{}: twice", scenario.name);
    }
}

#[test]
fn there_are_addresses_for_all_scenarios() {
    // A byte tells them apart, and the last one has the greatest.
    assert!(scenarios::all().count() < usize::from(scenarios::SENTINEL.0));
}

/// What the sources of a folder say, those of this comparison apart.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("conformance") {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// A test is a function, or the name that a suite gives to one.
fn defines(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}()")) || text.contains(&format!("(\"{name}\","))
}

#[test]
fn tests_that_rows_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut text = String::new();
    for folder in ["svclb-common/src", "svclb-userspace/src", "svclb-userspace/tests", "tests"] {
        sources(&root.join(folder), &mut text);
    }
    for row in rows() {
        for name in row.tests {
            assert!(defines(&text, name), "{}: no test is called {name}", row.id);
        }
    }
    assert!(!defines(&text, "no_such_test"));
}
