//! Tests of `run --split`: a worker for each block of standard input.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use crate::{error_line, error_of, heirloom};

/// Starts `run --split` with these arguments, and pipes to all its streams.
fn start(args: &[&str]) -> Child {
    let mut command = heirloom(&[&["run", "--split"], args].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs it to its end with an input.
fn split(args: &[&str], input: &[u8]) -> Output {
    let mut child = start(args);
    let (mut to, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = thread::spawn(move || to.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output
}

/// Returns what a call that must succeed prints.
fn printed(args: &[&str], input: &[u8]) -> Vec<u8> {
    let output = split(args, input);
    assert!(output.status.success() && output.stderr.is_empty(), "{args:?}: {output:?}");
    output.stdout
}

/// Lines of different lengths, some empty and some longer than most blocks.
fn lines() -> Vec<u8> {
    let line = |number: usize| "x".repeat(number * number % 97 * usize::from(number % 5 > 0)) + &number.to_string();
    let long = |number: usize| if number % 1000 == 7 { "y".repeat(70_000) } else { String::new() };
    (0..5000).map(|number| line(number) + &long(number) + "\n").collect::<String>().into_bytes()
}

#[test]
fn blocks_are_as_many_whole_lines_as_fit() {
    let input = b"aa\nbb\na longer line\nc\n\n\nddddd\nee";
    let script = "printf '{job} of {jobs}: '; od -An -c | tr -d ' \\n'; echo";
    let expected = "0 of 2: aa\\nbb\\n\n1 of 2: alongerline\\n\n2 of 2: c\\n\\n\\n\n3 of 2: ddddd\\n\n4 of 2: ee\n";
    let output = printed(&["6", "--jobs", "2", "--", "sh", "-c", script], input);
    assert_eq!(String::from_utf8(output).unwrap(), expected);
    // One line each.
    assert_eq!(printed(&["1", "--", "wc", "-c"], b"a\n\nbcd\n"), b"2\n1\n4\n");
    // No line at all: the program isn't even looked for.
    assert_eq!(printed(&["1", "--", "/no/such/program"], b""), b"");
}

#[test]
fn no_byte_is_lost_or_moved() {
    let input = lines();
    for size in ["1K", "60000", "1M", "1T"] {
        for jobs in ["1", "3"] {
            assert!(printed(&[size, "--jobs", jobs, "--", "cat"], &input) == input, "{size}, {jobs} jobs");
        }
    }
    // Into a file, and from a file.
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    fs::write(&from, &input).unwrap();
    let mut command = heirloom(&["run", "--split", "64K", "--jobs", "2", "--", "cat"]);
    let status = command.stdin(File::open(&from).unwrap()).stdout(File::create(&to).unwrap()).status().unwrap();
    assert!(status.success() && fs::read(&to).unwrap() == input);
    // As they come: each block is whole.
    let output = printed(&["60000", "--jobs", "3", "--unordered", "--", "sh", "-c", "echo block {job}; cat"], &input);
    let text = String::from_utf8(output).unwrap();
    let mut blocks: Vec<_> =
        text.split_inclusive("block ").skip(1).map(|block| block.trim_end_matches("block ")).collect();
    blocks.sort_by_key(|block| block.split('\n').next().unwrap().parse::<usize>().unwrap());
    let joined: String = blocks.iter().map(|block| block.split_once('\n').unwrap().1).collect();
    assert!(joined.into_bytes() == input);
    // The blocks count on from another number, and a failed one is named by it.
    let output = split(&["2", "--first-job", "7", "--", "sh", "-c", "echo {job}; test {job} != 8"], b"a\nb\nc\n");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"7\n8\n9\n"[..]));
    assert_eq!(output.stderr, b"heirloom: worker 8 failed: exit code 1\n");
}

#[test]
fn block_beyond_max_is_a_failure() {
    // The blocks are "aa\nbb\n", "a longer line\n" and "c\n".
    let input = b"aa\nbb\na longer line\nc\n";
    assert_eq!(printed(&["6", "--max", "14", "--", "cat"], input), input);
    let refused = |max, input: &[u8]| {
        let message = error_line(&split(&["6", "--max", max, "--", "cat"], input), 125);
        assert!(message.contains(&format!("a block of more than --max {max} bytes")), "{message}");
    };
    refused("13", input);
    // The last line, without an end.
    refused("8", b"123456789");
    // A line that never ends is not kept in memory.
    let mut child = start(&["6", "--max", "100000", "--", "cat"]);
    let mut to = child.stdin.take().unwrap();
    let writer = thread::spawn(move || while to.write_all(&[b'x'; 4096]).is_ok() {});
    error_line(&child.wait_with_output().unwrap(), 125);
    writer.join().unwrap();
}

/// Worker 0 goes on when the command has waited for worker 1, or when the test has seen what worker 1 printed.
#[test]
fn output_is_in_the_order_of_the_blocks_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let fifo = fifo.to_str().unwrap();
    let script = "if test {job} = 0; then read id < $0; while kill -0 $id 2> /dev/null; do sleep 0.01; done; cat
                  else cat; echo $$ > $0; fi";
    assert_eq!(printed(&["1", "--jobs", "2", "--", "sh", "-c", script, fifo], b"first\nsecond\n"), b"first\nsecond\n");

    let script = "test {job} = 0 && read line < $0; cat";
    let mut child = start(&["1", "--jobs", "2", "--unordered", "--", "sh", "-c", script, fifo]);
    child.stdin.take().unwrap().write_all(b"first\nsecond\n").unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "second");
    fs::write(fifo, "go\n").unwrap();
    assert_eq!(lines.next().unwrap(), "first");
    assert!(child.wait().unwrap().success());
}

/// A line is passed on when it arrives, not when the input ends.
#[test]
fn worker_starts_as_soon_as_its_block_was_read() {
    let mut child = start(&["1", "--", "cat"]);
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    for line in ["one", "two"] {
        writeln!(input, "{line}").unwrap();
        assert_eq!(lines.next().unwrap(), line);
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn failed_worker_is_named_and_the_others_go_on() {
    let script = "cat; test {job} = 1 && exit 3; test {job} = 2 && kill -9 $$; exit 0";
    let output = split(&["1", "--", "sh", "-c", script], b"a\nb\nc\nd\n");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"a\nb\nc\nd\n"[..]));
    assert_eq!(errors, "heirloom: worker 1 failed: exit code 3\nheirloom: worker 2 failed: killed by signal 9\n");
    let output = split(&["1", "--", "/no/such/program"], b"a\n");
    assert!(error_line(&output, 127).contains("/no/such/program"));
}

#[test]
fn workers_share_regions_and_cannot_change_a_block() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    fs::write(&text, "text").unwrap();
    let frozen = format!("text={}", text.display());
    let script = "cat $0; cat; dd of=$1 bs=1 seek={job} conv=notrunc status=none < $0 count=1; \
                  (echo x > /proc/self/fd/0) 2> /dev/null || echo frozen";
    let args =
        ["2", "--shared", "out=3", "--frozen", &frozen, "--save", "out=-", "--", "sh", "-c", script, "{text}", "{out}"];
    let expected = "texta\nfrozen\ntextb\nfrozen\ntt\0";
    assert_eq!(String::from_utf8(printed(&args, b"a\nb\n")).unwrap(), expected);
}

#[test]
fn signal_ends_workers_and_no_more_are_started() {
    let script = "trap 'exit 40' TERM; echo ready >&2; while :; do sleep 0.01; done";
    let mut child = start(&["1", "--jobs", "2", "--", "sh", "-c", script]);
    // More input may come.
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"a\nb\nc\n").unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!([errors.next().unwrap(), errors.next().unwrap()], ["ready", "ready"]);
    // SAFETY: A child of this process that was not waited for.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM)
    };
    let mut errors: Vec<_> = errors.collect();
    errors.sort();
    let interrupted = "heirloom: signal 15 arrived before all input was read";
    let failed = |worker| format!("heirloom: worker {worker} failed: exit code 40");
    assert_eq!(errors, [interrupted.to_owned(), failed(0), failed(1)]);
    assert_eq!(child.wait().unwrap().code(), Some(128 + libc::SIGTERM));
}

/// Nobody reads the output, and the pipe is full.
#[test]
fn signal_ends_it_while_its_output_is_blocked() {
    for (input_goes_on, left) in [(true, "input was read"), (false, "output was written")] {
        let mut child = start(&["1", "--", "head", "-c", "1000000", "/dev/zero"]);
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"a\n").unwrap();
        let input = input_goes_on.then_some(input);
        // Nothing is written before the worker has ended.
        let mut output = child.stdout.take().unwrap();
        output.read_exact(&mut [0]).unwrap();
        // SAFETY: A child of this process that was not waited for.
        #[allow(unsafe_code)]
        unsafe {
            libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM)
        };
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert_eq!(errors, format!("heirloom: signal 15 arrived before all {left}\n"));
        assert_eq!(child.wait().unwrap().code(), Some(128 + libc::SIGTERM));
        drop((input, output));
    }
}

/// As one program would, if nobody reads yet.
#[test]
fn small_outputs_fit_a_pipe_together() {
    let mut child = start(&["1", "--jobs", "2", "--", "cat"]);
    child.stdin.take().unwrap().write_all(&b"a\n".repeat(100)).unwrap();
    assert!(child.wait().unwrap().success());
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert_eq!(output, b"a\n".repeat(100));
}

#[test]
fn small_limit_on_open_files_is_enough() {
    let script =
        "ulimit -n 64; yes | head -n 300 | \"$0\" run --split 2 --jobs 16 -- sh -c 'test {job} = 0 && sleep 0.3; cat'";
    let output = Command::new("sh").args(["-c", script, crate::HEIRLOOM]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(output.stdout, b"y\n".repeat(300));
}

/// The first output comes long before as many workers were started as may run at a time.
#[test]
fn many_jobs_hold_up_no_output() {
    let mut child = start(&["1", "--jobs", "100000", "--", "sh", "-c", "echo {job}"]);
    let mut input = child.stdin.take().unwrap();
    // Ends with an error, when nobody reads.
    let writer = thread::spawn(move || while input.write_all(&b"a\n".repeat(1000)).is_ok() {});
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "0\n");
    // SAFETY: As above.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM)
    };
    drop(output);
    child.wait().unwrap();
    writer.join().unwrap();
}

#[test]
fn closed_output_ends_it() {
    let mut child = start(&["1", "--", "cat"]);
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"first\n").unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    drop(output);
    input.write_all(b"second\n").unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "heirloom: cannot write to standard output: Broken pipe\n");
    assert_eq!(child.wait().unwrap().code(), Some(125));
}

#[test]
fn wrong_options_are_refused() {
    for (size, wanted) in [("0", "expected at least 1"), ("-1", "--split"), ("x", "is not a size"), ("1.5M", "1536K")] {
        let message = error_of(&["run", &format!("--split={size}"), "--", "cat"], 125);
        assert!(message.contains(wanted), "{message}");
    }
    assert!(error_of(&["run", "--unordered", "--", "cat"], 125).contains("--split"));
    let message = error_of(&["run", "--split", "1", "--frozen", "a=-", "--", "cat"], 125);
    assert_eq!(message, "heirloom: standard input is split into blocks, so it cannot fill region \"a\"\n");
    let output =
        Command::new("sh").args(["-c", "exec \"$0\" run --split 1 -- cat <&-", crate::HEIRLOOM]).output().unwrap();
    assert_eq!(error_line(&output, 125), "heirloom: cannot read standard input: it is closed\n");
    let output = heirloom(&["run", "--split", "1", "--", "cat"]).stdin(File::open("/").unwrap()).output().unwrap();
    assert_eq!(error_line(&output, 125), "heirloom: cannot read standard input: Is a directory\n");
}
