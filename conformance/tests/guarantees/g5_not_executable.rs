//! G5, not executable, under each setting of `vm.memfd_noexec`. The hostile child of G3 and G4 makes the other attempts
//! to execute.

use std::process::Command;

use heirloom_conformance::skip;

use crate::CHILD;

#[test]
fn g5_not_executable_under_any_memfd_noexec_setting() {
    for setting in 0..=2 {
        let script = format!("echo {setting} > /proc/sys/vm/memfd_noexec && exec \"$0\" create-and-execute");
        let mut command = Command::new("unshare");
        command.args(["-Urpf", "--mount-proc", "sh", "-c", &script, CHILD]);
        let output = command.output().unwrap();
        let report = String::from_utf8(output.stdout).unwrap();
        if !output.status.success() && report.is_empty() {
            let why = String::from_utf8_lossy(&output.stderr);
            return skip(format_args!("cannot create a PID namespace with its own settings: {why}"));
        }
        assert_eq!(report, format!("{}\n", libc::EACCES), "vm.memfd_noexec = {setting}");
    }
}
