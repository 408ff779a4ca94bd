//! What the help and the manual pages say about a command beyond its options.

use std::fmt::{self, Display, Formatter};

use clap::builder::Styles;

use crate::sys::{EXEC_HELP, RUN_HELP};

/// What follows the options in the help of a command.
pub struct Help {
    /// Paragraphs, the last of which starts with [`EXIT_CODE`].
    text: &'static str,
    pub examples: &'static [Example],
}

pub struct Example {
    pub purpose: &'static str,
    pub command: &'static str,
}

const EXIT_CODE: &str = "Exit code: ";

pub const MAIN: Help = Help {
    text: "\
A region is memory without a name in any file system: only the programs that heirloom starts inherit it, and it is freed
with the last of them. A frozen region has a content that no process can change.

Exit code: 0 for success, 125 if heirloom itself fails; run and exec otherwise exit with the program's own code.",
    examples: &[
        Example {
            purpose: "Eight workers read one copy of a file",
            command: "heirloom run --frozen text=big.txt --jobs 8 -- ./count {text} {job}",
        },
        Example {
            purpose: "A program writes to 64 MiB of shared memory, which is saved if it succeeds",
            command: "heirloom run --shared out=64M --save out=result.bin -- ./render {out}",
        },
        Example { purpose: "List the regions, and the processes that hold them", command: "heirloom ps" },
    ],
};

pub const RUN: Help = Help {
    text: RUN_HELP,
    examples: &[
        Example {
            purpose: "Eight workers read one copy of a file, each its own part of it",
            command: "heirloom run --frozen text=big.txt --jobs 8 -- ./count {text} {job}",
        },
        Example {
            purpose: "A program writes to 64 MiB of shared memory, which is saved if it succeeds",
            command: "heirloom run --shared out=64M --save out=result.bin -- ./render {out}",
        },
        #[cfg(target_os = "linux")]
        Example {
            purpose: "A program maps a key that no other process can read, by the number of its descriptor",
            command: "heirloom run --secret key=- -- ./sign --key-descriptor {key} < secret.key",
        },
        #[cfg(target_os = "linux")]
        Example {
            purpose: "A filter runs on four processors",
            command: "heirloom run --split 1M --jobs 4 -- tr a-z A-Z < in.txt > out.txt",
        },
    ],
};

pub const EXEC: Help = Help {
    text: EXEC_HELP,
    examples: &[
        Example {
            purpose: "A server inherits a secret that this process read from standard input",
            command: "heirloom exec --frozen key=- -- ./server --key-file {key} < secret.key",
        },
        Example {
            purpose: "The same, for a server that expects the path in a variable",
            command: "heirloom exec --frozen key=- --env KEY={key} -- ./server < secret.key",
        },
    ],
};

pub const PS: Help = Help {
    text: "\
For each region: its size, how much of it is in memory or swap, its kind (writable, read-only or frozen), its name, and
each process that holds it, by a descriptor (open) or a mapping (mapped). Sizes are rounded in units of 1024; --json has
the exact bytes. A ? stands for what could not be examined.

PSS is the process's share: the pages that it has mapped and accessed, each divided by the number of mappings that have
it. The shares of processes that have one copy add up to that copy. What a process only reads by a descriptor is in no share.

With --tree, a process is beneath the nearest of its ancestors that holds the region, and the last line of a region has
the sum.

Linux shows the processes of your own user, except those that made themselves undumpable; root sees all. The last line
counts the processes that could not be inspected. Secret regions have no name and are not shown.

Exit code: 0, or 125 if heirloom fails.",
    examples: &[
        Example { purpose: "List the regions, and the processes that hold them", command: "heirloom ps" },
        Example { purpose: "See that workers have one copy: their shares add up to it", command: "heirloom ps --tree" },
        Example { purpose: "Print the sizes in bytes", command: "heirloom ps --json | jq '.regions[] | {name, size}'" },
    ],
};

pub const LIST: Help = Help {
    text: "\
For each region: its size, its kind (writable, read-only, frozen or secret) and its name. A region that this process cannot
use has the reason behind its name.

Exit code: 0, or 125 if heirloom fails.",
    examples: &[Example {
        purpose: "Show what a program would inherit",
        command: "heirloom run --frozen text=README.md --shared out=4K -- heirloom list",
    }],
};

pub const COMPLETIONS: Help = Help {
    text: "\
Exit code: 0, or 125 if heirloom fails.",
    examples: &[
        Example { purpose: "bash: in ~/.bashrc", command: "source <(heirloom completions bash)" },
        Example { purpose: "zsh: in ~/.zshrc, after compinit", command: "source <(heirloom completions zsh)" },
        Example { purpose: "fish: in ~/.config/fish/config.fish", command: "heirloom completions fish | source" },
        Example {
            purpose: "PowerShell: in $PROFILE",
            command: "heirloom completions powershell | Out-String | Invoke-Expression",
        },
        Example {
            purpose: "elvish: in ~/.config/elvish/rc.elv",
            command: "eval (heirloom completions elvish | slurp)",
        },
    ],
};

pub const MAN: Help = Help {
    text: "\
One page for each command: heirloom.1, heirloom-run.1 and so on. The directory is created if it does not exist, and
older pages are replaced.

Exit code: 0, or 125 if heirloom fails.",
    examples: &[Example {
        purpose: "Install them where man looks if ~/.cargo/bin is in the PATH, and read one",
        command: "heirloom man ~/.cargo/share/man/man1 && man heirloom-run",
    }],
};

impl Help {
    /// Returns the help of a command by its name.
    pub fn of(command: &str) -> &'static Self {
        match command {
            "run" => &RUN,
            "exec" => &EXEC,
            "ps" => &PS,
            "list" => &LIST,
            "completions" => &COMPLETIONS,
            "man" => &MAN,
            _ => &MAIN,
        }
    }

    /// Returns the paragraphs before the exit code, each as one line.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.parts().0.split_terminator("\n\n").map(one_line)
    }

    pub fn exit_code(&self) -> String {
        one_line(self.parts().1)
    }

    fn parts(&self) -> (&'static str, &'static str) {
        self.text.rsplit_once(EXIT_CODE).unwrap_or((self.text, ""))
    }
}

/// Joins the lines, so that a terminal's or a page's width breaks them.
fn one_line(paragraph: &str) -> String {
    paragraph.replace('\n', " ")
}

/// The part of `--help` after the options.
impl Display for Help {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for note in self.notes() {
            write!(f, "{note}\n\n")?;
        }
        let styles = Styles::styled();
        let header = styles.get_header();
        writeln!(f, "{header}Examples:{header:#}")?;
        for example in self.examples {
            writeln!(f, "  # {}\n  {}", example.purpose, example.command)?;
        }
        write!(f, "\n{EXIT_CODE}{}", self.exit_code())
    }
}
