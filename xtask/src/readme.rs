//! What the README says and the code decides.

use svclb_common::layout;

const README: &str = include_str!("../../README.md");

/// The names in backquotes of a table row's first cell.
fn names(row: &str) -> impl Iterator<Item = &str> {
    let cell = row.trim_start_matches("| ").split('|').next().unwrap_or_default();
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_of_maps_is_complete_and_in_order() {
    let section = README.split("## Maps").nth(1).expect("a section on maps");
    let table = section.split("\n## ").next().unwrap_or_default();
    let listed: Vec<_> = table.lines().filter(|l| l.starts_with("| `")).flat_map(names).collect();
    assert_eq!(listed, layout::map::ALL);
}

#[test]
fn the_pins_are_where_the_readme_says() {
    assert!(README.contains(&format!("/svclb/{}/maps", layout::VERSION)));
}
