//! Runs the code of `docs/format.md` as it is printed there.

use std::fs;

use heirloom::{Command, ErrorKind, FrozenRegion, Region, channel};
use heirloom_conformance::{Chance, emulated, output, skip};

use crate::CHILD;
use crate::linux::python;

const FORMAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/format.md");

/// The code block under a heading.
fn code(heading: &str) -> String {
    let page = fs::read_to_string(FORMAT).unwrap();
    let (_, section) = page.split_once(heading).unwrap();
    let (_, code) = section.split_once("```python\n").unwrap();
    code.split_once("```").unwrap().0.to_owned()
}

/// The code of a child, followed by the test's own lines. `None` where there is no Python.
fn recipe(lines: &str) -> Option<Command> {
    let mut command = python()?;
    command.args(["-c", &format!("{}\n{lines}", code("## A child in Python"))]);
    Some(command)
}

#[test]
fn python_recipe_reads_and_writes_regions() {
    let region = Region::create(4096).unwrap();
    let (read_only, writer) = Region::create(8192).unwrap().into_read_only().unwrap();
    writer.write_at(0, b"news").unwrap();
    let frozen = FrozenRegion::from_bytes("a text").unwrap();
    let empty = FrozenRegion::from_bytes("").unwrap();
    let lines = r#"
regions = inherited()
regions["results, all"][0:5] = b"hello"
print(bytes(regions["text"]), bytes(regions["📰"][0:4]), len(regions["empty"]))
print("HEIRLOOM_REGIONS" in os.environ)
regions["template"][0:1] = b"A"
print(bytes(regions["template"]))
"#;
    let Some(mut command) = recipe(lines) else { return };
    command.inherit("results, all", &region).unwrap().inherit("📰", &read_only).unwrap();
    command.inherit("text", &frozen).unwrap().inherit("empty", &empty).unwrap();
    command.inherit("template", &frozen.copy_on_write().unwrap()).unwrap();
    let output = command.output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "b'a text' b'news' 0\nFalse\nb'A text'\n",
        "{:?}",
        output.stderr
    );
    let mut seen = [0; 5];
    region.map().unwrap().read_at(0, &mut seen).unwrap();
    assert_eq!(&seen, b"hello");
    assert_eq!(&*frozen.map().unwrap(), b"a text");
}

#[test]
fn python_recipe_rejects_what_the_library_rejects() {
    let region = Region::create(4096).unwrap();
    let frozen = FrozenRegion::from_bytes([0; 4096]).unwrap();
    let lines = r#"
strings = dict(pair.split("=") for pair in os.environ["HEIRLOOM_REGIONS"].split(","))
string = strings["a"]
fields = string.split(":")
def with_fields(replaced):
    return ":".join(replaced.get(index, field) for index, field in enumerate(fields))
number = fields[0]
bad = [with_fields(replaced) for replaced in (
    {0: "0"}, {0: "999"}, {0: "9" * 20}, {0: "+" + number}, {0: "0" + number}, {0: " " + number}, {0: number + "_0"}, {0: strings["b"].split(":")[0]},
    {1: "0"}, {1: "2"}, {1: "7"}, {2: "2"}, {2: "01"}, {3: "unsealed"}, {3: "bogus"}, {3: "Writable"}, {1: "0", 3: "frozen"},
    {1: "0", 3: "read-only"}, {4: "8192"}, {4: "-1"}, {6: "1"}, {6: fields[6] + "\n"})]
bad += [string + ":", string + " ", number + ":1", ""]
accepted = []
for each in bad:
    try:
        import_region(each)
        accepted.append(each)
    except (OSError, OverflowError, ValueError):
        pass
print(accepted)

# An invalid pair does not keep other regions from being claimed.
os.environ["HEIRLOOM_REGIONS"] = "x=1:1:1:writable:4096:1:1,y=" + with_fields({0: "9" * 20}) + ",=" + strings["b"] + ",%00=" + strings["b"] + "," + "%41=" + strings["b"] + ",a=" + string + ",a=" + string
regions = inherited()
print(sorted(name for name, region in regions.items() if isinstance(region, Exception)), os.get_inheritable(int(number)))
print(len(import_region(string)))
"#;
    let Some(mut command) = recipe(lines) else { return };
    let output = command.inherit("a", &region).unwrap().inherit("b", &frozen).unwrap().output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        report,
        "[]\n['', '\\x00', 'A', 'a', 'x', 'y'] False\n4096\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn python_recipe_sends_and_receives_messages() {
    // Under an emulator, Python runs on the other processor, whose numbers may have another byte order.
    if emulated() || !cfg!(any(target_arch = "x86_64", target_arch = "x86", target_arch = "s390x")) {
        return skip("the recipe needs a processor that keeps the order of stores");
    }
    let Some(mut command) = python() else { return };
    let page = fs::read_to_string(FORMAT).unwrap();
    let (_, section) = page.split_once("## A channel in Python").unwrap();
    let blocks: Vec<&str> =
        section.split("```python\n").skip(1).take(2).map(|code| code.split_once("```").unwrap().0).collect();
    command.args(["-c", &format!("{}\n{}", code("## A child in Python"), blocks.join("\n"))]);
    let (mut jobs, their_jobs) = channel(4096).unwrap();
    let (their_answers, mut answers) = channel(4096).unwrap();
    command.inherit_end("jobs", their_jobs).unwrap().inherit_end("answers", their_answers).unwrap();
    let mut child = command.spawn().unwrap();
    let mut chance = Chance::new(3);
    for _ in 0..1000 {
        let job = vec![b'a' + u8::try_from(chance.below(26)).unwrap(); chance.below(jobs.longest_message() + 1)];
        jobs.send(&job).unwrap();
        assert_eq!(answers.recv().unwrap().to_vec(), job.to_ascii_uppercase());
    }
    drop(jobs);
    assert!(child.wait().unwrap().success());
    assert_eq!(answers.recv().map(drop).unwrap_err().kind(), ErrorKind::PeerGone);
}

#[test]
fn python_parent_passes_a_region_to_a_child() {
    let child = format!("[{CHILD:?}, \"write\", \"frames\", \"from a child\"]");
    let parent = code("## A parent in Python").replace("[\"./worker\"]", &child);
    let Some(mut command) = python() else { return };
    command.args(["-c", &format!("{parent}\nprint(os.pread(number, 12, 0))")]);
    assert_eq!(output(&mut command), "b'from a child'\n");
}
