//! What the docs say twice.

/// The rows of the table of systems.
fn table(page: &str) -> Vec<&str> {
    let lines = page.lines().map(|line| line.trim_start_matches("//! "));
    lines.skip_while(|line| !line.starts_with("| | tried |")).take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_table_of_systems_is_one_in_the_readme_and_the_crates_page() {
    let of_readme = table(include_str!("../README.md"));
    assert_eq!(of_readme, table(include_str!("../src/lib.rs")));
    assert_eq!(of_readme.len(), 9);
}
