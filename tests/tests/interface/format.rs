//! `docs/format.md`: the recipe that stands there, run as it stands.

use std::fs;

use heirloom::{Command, ErrorKind, FrozenRegion, Region};

const FORMAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/format.md");

/// The recipe, and lines of the test's own behind it; nothing where there is no Python.
fn python(lines: &str) -> Option<Command> {
    let page = fs::read_to_string(FORMAT).unwrap();
    let (_, recipe) = page.split_once("```python\n").unwrap();
    let (recipe, _) = recipe.split_once("```").unwrap();
    match Command::new("python3").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::ProgramNotFound => {
            println!("skipped: there is no python3 here");
            return None;
        }
        found => assert!(found.unwrap().status.success()),
    }
    let mut command = Command::new("python3");
    command.args(["-c", &format!("{recipe}\n{lines}")]);
    Some(command)
}

#[test]
fn the_recipe_in_python_reads_and_writes_what_it_inherits() {
    let region = Region::create(4096).unwrap();
    let (published, writer) = Region::create(8192).unwrap().publish().unwrap();
    writer.write_at(0, b"news").unwrap();
    let frozen = FrozenRegion::from_bytes("a text").unwrap();
    let empty = FrozenRegion::from_bytes("").unwrap();
    let lines = r#"
regions = inherited()
regions["results, all"][0:5] = b"hello"
print(bytes(regions["text"]), bytes(regions["📰"][0:4]), len(regions["empty"]))
print("HEIRLOOM_REGIONS" in os.environ)
"#;
    let Some(mut command) = python(lines) else { return };
    command.inherit("results, all", &region).unwrap().inherit("📰", &published).unwrap();
    command.inherit("text", &frozen).unwrap().inherit("empty", &empty).unwrap();
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "b'a text' b'news' 0\nFalse\n", "{:?}", output.stderr);
    let mut seen = [0; 5];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"hello");
}

#[test]
fn the_recipe_in_python_refuses_what_is_not_the_region() {
    let region = Region::create(4096).unwrap();
    let lines = r#"
name, string = os.environ["HEIRLOOM_REGIONS"].split("=")
fields = string.split(":")
def with_field(index, value):
    return ":".join(fields[:index] + [value] + fields[index + 1:])
bad = [with_field(0, "0"), with_field(0, "999"), with_field(2, "2"), with_field(3, "frozen"), with_field(3, "published"),
       with_field(4, "8192"), with_field(6, "1"), string + ":", "7:1"]
refused = 0
for each in bad:
    try:
        import_region(each)
    except (ValueError, OSError):
        refused += 1
print(refused, len(bad), len(import_region(string)))
"#;
    let Some(mut command) = python(lines) else { return };
    let output = command.inherit("a", &region).unwrap().output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "9 9 4096\n", "{}", String::from_utf8_lossy(&output.stderr));
}
