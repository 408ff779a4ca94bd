//! Tests of `--save` on Linux: it opens its file as a shell's `>` does, and loses no result.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use heirloom_conformance::skip;

use crate::{HEIRLOOM, error_line, heirloom, stdout_of};

/// A worker that writes `work` to the region `a`.
const WORK: [&str; 5] = ["--", "sh", "-c", "printf work 1<>$0", "{a}"];

/// Saves a region of four bytes to a file.
fn save_to(path: &Path) -> Command {
    let save = format!("a={}", path.display());
    heirloom(&[&["run", "--shared", "a=4", "--save", &save], &WORK[..]].concat())
}

/// Runs a script as root in a mount namespace of its own, with the command in `$0` and a directory in `$1`. Returns `None`
/// where that isn't allowed: the script must exit with 3 then.
fn as_root(script: &str, directory: &Path) -> Option<Output> {
    let mut command = Command::new("unshare");
    let output = command.args(["-Urm", "sh", "-c", script, HEIRLOOM]).arg(directory).output().unwrap();
    if output.status.code() == Some(3) || output.stderr.starts_with(b"unshare") {
        skip(format_args!("an unprivileged user cannot mount here: {output:?}"));
        return None;
    }
    Some(output)
}

#[test]
fn old_file_keeps_owner_mode_and_links() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "old and longer").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    symlink(&file, &link).unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    assert!(save_to(&link).status().unwrap().success());
    assert_eq!(fs::read(&file).unwrap(), b"work");
    let new = fs::metadata(&file).unwrap();
    assert_eq!((new.ino(), new.permissions().mode() & 0o7777), (inode, 0o640));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn new_file_has_the_mode_of_the_umask() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let mut command = save_to(&file);
    // SAFETY: Between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o027);
            Ok(())
        });
    }
    assert!(command.status().unwrap().success());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
}

#[test]
fn target_of_a_dangling_link_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let (target, link) = (directory.path().join("target"), directory.path().join("link"));
    symlink(&target, &link).unwrap();
    assert!(save_to(&link).status().unwrap().success());
    assert_eq!(fs::read(&target).unwrap(), b"work");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[test]
fn unusable_destination_is_refused_before_the_work() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(directory.path().join("file"), "").unwrap();
    for (destination, says) in [
        (path("new/"), "Is a directory"),
        (path("missing/new"), "No such file or directory"),
        (path("file/"), "Is a directory"),
        (path("."), "Is a directory"),
    ] {
        let save = format!("a={destination}");
        let output = heirloom(&["run", "--shared", "a=4", "--save", &save, "--", "echo", "worked"]).output().unwrap();
        assert!(error_line(&output, 125).contains(says), "{output:?}");
        assert!(output.stdout.is_empty(), "the work was done: {output:?}");
    }
    // Two regions can't be saved to one file, by whatever names.
    symlink(directory.path().join("file"), directory.path().join("link")).unwrap();
    let saves = [format!("a={}", path("file")), format!("b={}", path("link"))];
    let regions = ["run", "--shared", "a=1", "--shared", "b=1", "--save", &saves[0], "--save", &saves[1]];
    let output = heirloom(&[&regions[..], &["--", "echo", "worked"]].concat()).output().unwrap();
    assert!(error_line(&output, 125).contains("\"a\" is saved to the same file"), "{output:?}");
    // Control: a device takes both.
    stdout_of(&["run", "--shared", "a=1", "--save", "a=/dev/null", "--save", "a=/dev/null", "--", "true"]);
}

#[test]
fn failed_worker_leaves_files_as_they_were() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    fs::write(&old, "old").unwrap();
    let (save_old, save_new) = (format!("a={}", old.display()), format!("b={}", new.display()));
    let regions = ["run", "--shared", "a=4", "--shared", "b=4", "--save", &save_old, "--save", &save_new];
    let output = heirloom(&[&regions[..], &["--", "sh", "-c", "exit 7"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "heirloom: \"a\" was not saved, because a worker failed\n\
         heirloom: \"b\" was not saved, because a worker failed\n"
    );
    assert_eq!(fs::read(&old).unwrap(), b"old");
    assert!(!new.exists());
    // Also if another region can't be created.
    let output = heirloom(&["run", "--shared", "b=0", "--save", &save_new, "--", "true"]).output().unwrap();
    error_line(&output, 125);
    assert!(!new.exists());
}

#[test]
fn mount_point_is_saved_to() {
    let directory = tempfile::tempdir().unwrap();
    let script = "cd \"$1\" && touch mounted host && mount --bind host mounted || exit 3
        \"$0\" run --shared a=4 --save a=mounted -- sh -c 'printf work 1<>$0' '{a}' && cat mounted host";
    let Some(output) = as_root(script, directory.path()) else { return };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "workwork", "{output:?}");
}

#[test]
fn full_disk_keeps_old_file_and_result() {
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=64k none \"$1\" && cd \"$1\" && echo precious > file || exit 3
        mkdir -m 777 ../kept-$$; TMPDIR=../kept-$$
        export TMPDIR
        \"$0\" run --shared a=1M --save a=file -- sh -c 'printf work 1<>$0' '{a}'; code=$?
        ls; cat file; head -c 4 \"$TMPDIR\"/*; stat -c ' %s %a' \"$TMPDIR\"/*; rm -r \"$TMPDIR\"; exit $code";
    let Some(output) = as_root(script, directory.path()) else { return };
    let message = error_line(&output, 125);
    assert!(message.contains("No space left on device; its bytes are in /"), "{message}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "file\nprecious\nwork 1048576 600\n");
}

#[test]
fn result_without_any_room_stays_in_the_process() {
    let mut command = heirloom(&[&["run", "--shared", "a=4", "--save", "a=/dev/full"], &WORK[..]].concat());
    let mut child = command.env("TMPDIR", "/nonexistent").stderr(Stdio::piped()).spawn().unwrap();
    let mut message = String::new();
    let mut stderr = child.stderr.take().unwrap();
    let mut byte = [0];
    while !message.ends_with('\n') {
        stderr.read_exact(&mut byte).unwrap();
        message.push(char::from(byte[0]));
    }
    assert!(message.contains("cannot save \"a\" to /dev/full: No space left on device"), "{message}");
    let kept = message.split(" from ").nth(1).unwrap().split(',').next().unwrap();
    assert_eq!(fs::read(kept).unwrap(), b"work");
    // SAFETY: A child of this process that was not waited for.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
}

#[test]
fn result_of_a_removed_file_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let save = format!("a={}", file.display());
    let script = "printf work 1<>$0; rm $1";
    let mut command = heirloom(&["run", "--shared", "a=4", "--save", &save, "--", "sh", "-c", script, "{a}"]);
    let output = command.arg(&file).env("TMPDIR", directory.path()).output().unwrap();
    let message = error_line(&output, 125);
    let (_, kept) = message.trim().split_once("the file was removed meanwhile; its bytes are in ").unwrap();
    assert_eq!(fs::read(kept).unwrap(), b"work");
}

#[test]
fn region_that_a_worker_froze_is_saved() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    // F_ADD_SEALS with every seal against writing.
    let script = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); f.write(b'work'); f.flush(); \
                  fcntl.fcntl(f, 1033, 0x10)";
    let save = format!("a={}", file.display());
    stdout_of(&["run", "--shared", "a=4", "--save", &save, "--", "python3", "-c", script, "{a}"]);
    assert_eq!(fs::read(&file).unwrap(), b"work");
}

/// Runs the command as another user, from a copy that this user can execute.
fn as_nobody(command: &Command, directory: &Path) -> Command {
    let program = directory.join("heirloom");
    fs::copy(HEIRLOOM, &program).unwrap();
    let mut nobody = Command::new(program);
    nobody.args(command.get_args()).uid(65534).gid(65534).env("TMPDIR", directory).stdin(Stdio::null());
    nobody
}

/// Makes a directory that every user may enter.
fn public_directory() -> tempfile::TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().unwrap()
}

#[test]
fn writable_file_in_a_read_only_directory_is_saved_to() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can make another user's file");
    }
    let directory = public_directory();
    let file = directory.path().join("file");
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
    let output = as_nobody(&save_to(&file), directory.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::read(&file).unwrap(), b"work");
    // A new file there is refused before the work.
    let output = as_nobody(&save_to(&directory.path().join("new")), directory.path()).output().unwrap();
    assert!(error_line(&output, 125).contains("Permission denied"), "{output:?}");
}

#[test]
fn setuid_file_stays_its_owners() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can save to another user's file");
    }
    let directory = public_directory();
    let file = directory.path().join("file");
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o4755)).unwrap();
    assert!(save_to(&file).status().unwrap().success());
    assert_eq!((fs::read(&file).unwrap(), fs::metadata(&file).unwrap().uid()), (b"work".to_vec(), 65534));
}

#[test]
fn link_of_another_user_in_a_sticky_directory_is_not_followed() {
    let protected = fs::read_to_string("/proc/sys/fs/protected_symlinks").unwrap_or_default();
    if !rustix::process::geteuid().is_root() || protected.trim() != "1" {
        return skip("only root can make another user's link, and fs.protected_symlinks must be 1");
    }
    let directory = public_directory();
    let sticky = directory.path().join("sticky");
    fs::create_dir(&sticky).unwrap();
    fs::set_permissions(&sticky, Permissions::from_mode(0o1777)).unwrap();
    let precious = directory.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    for (link, target) in [("existing", precious.clone()), ("dangling", directory.path().join("new"))] {
        let link = sticky.join(link);
        symlink(&target, &link).unwrap();
        std::os::unix::fs::lchown(&link, Some(65534), Some(65534)).unwrap();
        let output = save_to(&link).output().unwrap();
        assert!(error_line(&output, 125).contains("Permission denied"), "{output:?}");
    }
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert!(!directory.path().join("new").exists());
    // Control: one's own link is followed.
    let own = sticky.join("own");
    symlink(&precious, &own).unwrap();
    assert!(save_to(&own).status().unwrap().success());
    assert_eq!(fs::read(&precious).unwrap(), b"work");
}

/// Makes a pipe with a name, and opens both its ends, so that nothing waits for the other end.
fn named_pipe(directory: &Path) -> (PathBuf, File) {
    let path = directory.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
    (path, file)
}

#[test]
fn signal_ends_a_save_and_removes_new_files() {
    let directory = tempfile::tempdir().unwrap();
    let new = directory.path().join("new");
    // The pipe is full before all is saved, so saving blocks forever.
    let (path, mut pipe) = named_pipe(directory.path());
    let (save, save_new) = (format!("a={}", path.display()), format!("b={}", new.display()));
    let regions = ["run", "--shared", "a=1M", "--shared", "b=1", "--save", &save, "--save", &save_new];
    let mut child = heirloom(&[&regions[..], &["--", "true"]].concat()).spawn().unwrap();
    let mut ready = [rustix::event::PollFd::new(&pipe, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ready, None).unwrap();
    // Control: it is there while the work is done.
    assert!(new.exists());
    // SAFETY: A child of this process that was not waited for.
    unsafe { libc::kill(i32::try_from(child.id()).unwrap(), libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    assert!(!new.exists());
    assert_eq!(pipe.read(&mut [0]).unwrap(), 1);
}

#[test]
fn file_size_limit_is_an_error() {
    let (file, kept) = (tempfile::NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
    let mut command = heirloom(&["run", "--shared", "a=8K", "--save", "a=-", "--save", "a=-", "--", "true"]);
    // SAFETY: Between fork and exec only one system call is made.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 8 << 10, rlim_max: 8 << 10 };
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit);
            Ok(())
        });
    }
    command.stdout(file.reopen().unwrap()).stderr(Stdio::piped()).env("TMPDIR", kept.path());
    let output = command.spawn().unwrap().wait_with_output().unwrap();
    assert!(error_line(&output, 125).contains("File too large; its bytes are in"));
}
