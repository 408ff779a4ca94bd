//! The crate `ipc-channel`: memory that is sent over a socket which the child finds by its name.

use std::mem::ManuallyDrop;
use std::process::Command;

use ipc_channel::ipc::{IpcOneShotServer, IpcSender, IpcSharedMemory, channel};

use super::{Parent, Running, Way, child, child_args, running};

pub const WAY: Way =
    Way { name: "ipc-channel", key: "ipc", create: Some(create), parent: Some(parent), attach: Some(attach) };

fn create(size: usize, touch: &dyn Fn(*mut u8)) {
    // There is no other way to make it than to fill it.
    let mut memory = IpcSharedMemory::from_byte(0, size);
    // SAFETY: Nobody else has it yet.
    touch(unsafe { memory.deref_mut() }.as_mut_ptr());
}

fn parent(size: usize) -> Parent {
    let mut shared = IpcSharedMemory::from_byte(0, size);
    // SAFETY: Only what one side writes is looked at, once the other is gone.
    let memory = unsafe { shared.deref_mut() }.as_mut_ptr();
    let start = move || -> Running {
        let (server, name) = IpcOneShotServer::<IpcSender<IpcSharedMemory>>::new().unwrap();
        let child = Command::new(child()).args(child_args(&WAY, &name)).spawn().unwrap();
        let (_, sender) = server.accept().unwrap();
        sender.send(shared.clone()).unwrap();
        running(child)
    };
    Parent { memory, start: Box::new(start) }
}

fn attach(name: &str) -> *mut u8 {
    let (sender, receiver) = channel::<IpcSharedMemory>().unwrap();
    IpcSender::connect(name.to_owned()).unwrap().send(sender).unwrap();
    let mut shared = ManuallyDrop::new(receiver.recv().unwrap());
    // SAFETY: As for the parent.
    unsafe { shared.deref_mut() }.as_mut_ptr()
}
