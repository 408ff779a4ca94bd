//! The biggest user of NSPR's anonymous shared memory: a TLS server of several processes, whose session cache is one file
//! map, by export string. It runs unchanged.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use heirloom_conformance::watch::Watch;
use rustix::process::{Pid, Signal, kill_process};

use crate::{library, there_is, told};

/// What must come has this long.
const LONG: Duration = Duration::from_secs(60);

fn await_so(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "it never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// `/usr/bin/selfserv` with three processes.
struct Server {
    parent: Child,
    port: u16,
}

impl Server {
    fn start(database: &Path, preload: Option<PathBuf>) -> Self {
        // A port that was free a moment ago.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("/usr/bin/selfserv");
        command.args(["-M", "3", "-n", "localhost", "-V", "tls1.0:tls1.2", "-p", &port.to_string()]);
        command.args(["-d", &format!("sql:{}", database.display())]).current_dir(database);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(preload) = preload {
            command.env("LD_PRELOAD", preload);
        }
        let server = Self { parent: command.spawn().unwrap(), port };
        await_so("three children", || server.children().len() == 3);
        await_so("an open port", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn children(&self) -> Vec<u32> {
        // Each is listed under the thread that started it.
        let threads = fs::read_dir(format!("/proc/{}/task", self.parent.id())).into_iter().flatten().flatten();
        let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
        let children = children.collect::<Vec<_>>().concat();
        children.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()
    }

    /// Of one connection in that session, and five more: whether each resumed it.
    fn resumed(&self, session: &Path) -> Vec<bool> {
        let mut client = self.client();
        let said = client.arg("-reconnect").arg("-sess_in").arg(session).output().unwrap().stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let lines = said.lines().filter(|line| line.starts_with("New, TLS") || line.starts_with("Reused, TLS"));
        lines.map(|line| line.starts_with("Reused")).collect()
    }

    fn client(&self) -> Command {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &format!("localhost:{}", self.port), "-tls1_2", "-no_ticket"]);
        client.stdin(Stdio::null());
        client
    }

    /// The memory that a process has open, by inode; and whether any of its descriptors is a file of the original's.
    fn memory(process: u32) -> (BTreeSet<u64>, bool) {
        let (mut regions, mut original) = (BTreeSet::new(), false);
        for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            if link.to_string_lossy().starts_with("/memfd:heirloom") {
                regions.insert(fs::metadata(entry.path()).unwrap().ino());
            }
            original |= link.to_string_lossy().contains(".NSPR-AFM-");
        }
        (regions, original)
    }
}

fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn is_there(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // What ended and wasn't waited for yet has the state Z.
    state.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in self.children() {
            signal(child, Signal::KILL);
        }
        let _ = self.parent.kill();
        let _ = self.parent.wait();
    }
}

/// Whether a file of the original's came or went since this was asked last.
fn a_file_of_the_originals(watch: &Watch) -> bool {
    watch.names().iter().any(|name| name.starts_with(".NSPR-AFM-"))
}

/// A certificate for the server, in a folder of its own.
fn database() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let noise = directory.path().join("noise");
    fs::write(&noise, "not a secret, and not for anybody but a test").unwrap();
    let place = format!("sql:{}", directory.path().display());
    told(Command::new("certutil").args(["-N", "-d", &place, "--empty-password"]));
    let mut make = Command::new("certutil");
    make.args(["-S", "-n", "localhost", "-s", "CN=localhost", "-x", "-t", "CT,,", "-m", "1", "-v", "12", "-d", &place]);
    told(make.args(["-k", "rsa", "-g", "2048", "-z"]).arg(noise));
    directory
}

#[test]
fn a_tls_server_of_three_processes_shares_its_sessions_in_our_memory() {
    if !there_is("selfserv", "libnss3-tools") || !there_is("openssl", "openssl") {
        return;
    }
    let database = database();
    let names =
        || -> BTreeSet<_> { fs::read_dir(database.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    let before = names();
    let watch = Watch::over(Path::new("/tmp"));
    let mut server = Server::start(database.path(), Some(library().join("libheirloom_nspr.so")));
    let children = server.children();

    let session = database.path().join("session");
    let all = [true; 6];
    told(server.client().arg("-sess_out").arg(&session));
    // A server remembers a session only after its last word to the client, which may be faster.
    await_so("a session", || server.resumed(&session) == all);
    // From then on every connection resumes it, whichever process it comes to.
    for _ in 0..5 {
        assert_eq!(server.resumed(&session), all);
    }
    // The cache is one memory of ours in all four processes.
    let (parents, _) = Server::memory(server.parent.id());
    assert_eq!(parents.len(), 1);
    for process in children.iter().copied().chain([server.parent.id()]) {
        assert_eq!(Server::memory(process), (parents.clone(), false), "process {process}");
    }
    assert!(!a_file_of_the_originals(&watch));

    // With one of them gone, the others go on sharing it.
    signal(children[1], Signal::KILL);
    await_so("the end of one child", || !is_there(children[1]));
    for _ in 0..5 {
        assert_eq!(server.resumed(&session), all);
    }
    fs::remove_file(&session).unwrap();

    // Its parent ends all of them: its handler calls `PR_KillProcess` for each, while it waits in `PR_WaitProcess`.
    signal(server.parent.id(), Signal::USR1);
    assert_eq!(server.parent.wait().unwrap().code(), Some(0));
    for child in children {
        await_so("the end of all children", || !is_there(child));
    }
    assert_eq!(names(), before);

    // The control: of the original, all of this can be seen.
    let original = Server::start(database.path(), None);
    assert!(a_file_of_the_originals(&watch));
    let (regions, theirs) = Server::memory(original.parent.id());
    assert!(regions.is_empty() && theirs);
}
