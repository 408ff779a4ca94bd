//! Tests of the table of `ps`.

use crate::{HEIRLOOM, stdout_of};

#[test]
fn ps_has_a_line_for_each_holder() {
    let names = ["b", "a"].map(|name| format!("{name}-{}", std::process::id()));
    let [shared, frozen] = [format!("{}=1536K", names[0]), format!("{}=Cargo.toml", names[1])];
    let stdout =
        stdout_of(&["run", "--shared", &shared, "--frozen", &frozen, "--", "sh", "-c", "\"$0\" ps; :", HEIRLOOM]);
    let mut lines = stdout.lines();
    let header = lines.next().unwrap();
    assert_eq!(
        header.split_whitespace().collect::<Vec<_>>(),
        ["SIZE", "RESIDENT", "KIND", "NAME", "PID", "COMMAND", "PSS", "HELD"]
    );
    let column = |title: &str| header.find(title).unwrap();
    let rows: Vec<_> = lines.collect();
    let first = rows.iter().position(|row| row.contains(&names[1])).unwrap();
    // The regions of one run are next to each other, in the order of their names, each with three holders.
    let (a, b) = (&rows[first..first + 3], &rows[first + 3..first + 6]);
    assert_eq!(&a[0][column("KIND")..column("NAME")].trim(), &"frozen");
    assert_eq!(&b[0][column("KIND")..column("NAME")].trim(), &"writable");
    assert!(b[0].contains(&names[0]) && b[0].contains("1.5 MiB"), "{stdout}");
    for region in [a, b] {
        let commands = region.iter().map(|row| row[column("COMMAND")..].split_whitespace().collect::<Vec<_>>());
        // By their ids, which begin again at the largest.
        let mut commands: Vec<_> = commands.collect();
        commands.sort();
        assert_eq!(
            commands,
            [["heirloom", "0", "B", "open"], ["heirloom", "0", "B", "open"], ["sh", "0", "B", "open"]],
            "{stdout}"
        );
        assert!(region[1..].iter().all(|row| row[..column("NAME")].trim().is_empty()), "{stdout}");
    }
}
