//! The largest user of NSPR's anonymous shared memory runs unchanged: a TLS server with several processes, which share
//! their session cache by export string.

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

use crate::{is_installed, library, stdout};

/// The time limit for an event that must happen.
const TIME_LIMIT: Duration = Duration::from_secs(60);

fn wait_until(event: &str, happened: impl Fn() -> bool) {
    let end = Instant::now() + TIME_LIMIT;
    while !happened() {
        assert!(Instant::now() < end, "timed out: {event}");
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
        // A port that was free just before.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("/usr/bin/selfserv");
        command.args(["-M", "3", "-n", "localhost", "-V", "tls1.0:tls1.2", "-p", &port.to_string()]);
        command.args(["-d", &format!("sql:{}", database.display())]).current_dir(database);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(preload) = preload {
            command.env("LD_PRELOAD", preload);
        }
        let server = Self { parent: command.spawn().unwrap(), port };
        wait_until("three children", || server.children().len() == 3);
        wait_until("an open port", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    fn children(&self) -> Vec<u32> {
        // A child is listed under the thread that started it.
        let threads = fs::read_dir(format!("/proc/{}/task", self.parent.id())).into_iter().flatten().flatten();
        let children = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
        let children = children.collect::<Vec<_>>().concat();
        children.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()
    }

    /// Connects once with a session and five times more, and returns which connections resumed it.
    fn resumed(&self, session: &Path) -> Vec<bool> {
        let mut client = self.client();
        let output = client.arg("-reconnect").arg("-sess_in").arg(session).output().unwrap().stdout;
        let output = String::from_utf8_lossy(&output).into_owned();
        let lines = output.lines().filter(|line| line.starts_with("New, TLS") || line.starts_with("Reused, TLS"));
        lines.map(|line| line.starts_with("Reused")).collect()
    }

    fn client(&self) -> Command {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-connect", &format!("localhost:{}", self.port), "-tls1_2", "-no_ticket"]);
        client.stdin(Stdio::null());
        client
    }

    /// Returns the inodes of a process's regions, and whether it has a file of the original NSPR open.
    fn memory(process: u32) -> (BTreeSet<u64>, bool) {
        let (mut regions, mut original) = (BTreeSet::new(), false);
        for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten() {
            let link = fs::read_link(entry.path()).unwrap_or_default();
            if link.to_string_lossy().starts_with("/memfd:heirloom/") {
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

fn is_running(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // A zombie has the state Z.
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

/// Whether the original NSPR created or removed a file since the last call.
fn original_used_a_file(watch: &Watch) -> bool {
    watch.names().iter().any(|name| name.starts_with(".NSPR-AFM-"))
}

/// Creates a folder with a certificate for the server.
fn database() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let noise = directory.path().join("noise");
    fs::write(&noise, "not a secret, only for a test").unwrap();
    let place = format!("sql:{}", directory.path().display());
    stdout(Command::new("certutil").args(["-N", "-d", &place, "--empty-password"]));
    let mut make = Command::new("certutil");
    make.args(["-S", "-n", "localhost", "-s", "CN=localhost", "-x", "-t", "CT,,", "-m", "1", "-v", "12", "-d", &place]);
    stdout(make.args(["-k", "rsa", "-g", "2048", "-z"]).arg(noise));
    directory
}

#[test]
fn tls_server_shares_sessions() {
    if !is_installed("selfserv", "libnss3-tools") || !is_installed("openssl", "openssl") {
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
    stdout(server.client().arg("-sess_out").arg(&session));
    // The server stores a session after its last message to the client, which may be faster.
    wait_until("a session", || server.resumed(&session) == all);
    // Every later connection resumes it, in any of the processes.
    for _ in 0..5 {
        assert_eq!(server.resumed(&session), all);
    }
    // All four processes have one heirloom region, the cache.
    let (regions, _) = Server::memory(server.parent.id());
    assert_eq!(regions.len(), 1);
    for process in children.iter().copied().chain([server.parent.id()]) {
        assert_eq!(Server::memory(process), (regions.clone(), false), "process {process}");
    }
    assert!(!original_used_a_file(&watch));

    // The others still share it after one is killed.
    signal(children[1], Signal::KILL);
    wait_until("the end of one child", || !is_running(children[1]));
    for _ in 0..5 {
        assert_eq!(server.resumed(&session), all);
    }
    fs::remove_file(&session).unwrap();

    // The parent's signal handler calls `PR_KillProcess` for each child, while `PR_WaitProcess` waits for one.
    signal(server.parent.id(), Signal::USR1);
    assert_eq!(server.parent.wait().unwrap().code(), Some(0));
    for child in children {
        wait_until("the end of all children", || !is_running(child));
    }
    assert_eq!(names(), before);

    // Control: the original NSPR uses a file and no region.
    let original = Server::start(database.path(), None);
    assert!(original_used_a_file(&watch));
    let (regions, has_file) = Server::memory(original.parent.id());
    assert!(regions.is_empty() && has_file);
}
