//! On a terminal of its own, in a process of its own: this test's again, with one of the tests that are ignored here.

use std::{
    env,
    io::Read as _,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use jiff::Timestamp;
use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};

use super::*;

const THEME: Theme = Theme { colours: true };

fn opened() -> Screen {
    let mut screen = Screen::open().unwrap();
    screen.draw(&mut State::new(Timestamp::now(), Instant::now()), THEME).unwrap();
    screen
}

#[test]
#[ignore = "needs a terminal of its own, which the last test here gives it"]
fn child_that_panics() {
    let _screen = opened();
    panic!("it went wrong");
}

#[test]
#[ignore = "needs a terminal of its own, which the last test here gives it"]
fn child_of_which_another_thread_panics() {
    let screen = opened();
    // As long as this process has standard output for itself.
    let lock = io::stdout().lock();
    let panicked = thread::spawn(|| panic!("it went wrong")).join();
    assert!(panicked.is_err() && !IS_OPEN.load(Ordering::SeqCst));
    drop((screen, lock));
}

#[test]
#[ignore = "needs a terminal of its own, which the last test here gives it"]
fn child_that_ends() {
    drop(opened());
    eprintln!("it went wrong");
}

#[test]
fn the_terminal_is_given_back_before_a_panic_is_told() {
    for child in ["child_that_panics", "child_of_which_another_thread_panics", "child_that_ends"] {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let far = || Stdio::from(pty.slave.try_clone().unwrap());
        let name = format!("{}::{child}", module_path!().split_once("::").unwrap().1);
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"]);
        // Without which there is no second end that could be read to.
        let mut running =
            command.env("RUST_BACKTRACE", "0").stdin(far()).stdout(far()).stderr(far()).spawn();
        let running = running.as_mut().unwrap();
        drop(command);
        let mut near = File::from(pty.master);
        let reader = thread::spawn(move || {
            let (mut text, mut piece) = (Vec::new(), [0; 1 << 12]);
            while let Ok(count @ 1..) = near.read(&mut piece) {
                text.extend_from_slice(&piece[..count]);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        running.wait().unwrap();
        let flags = tcgetattr(&pty.slave).unwrap().local_flags;
        drop(pty.slave);
        let text = reader.join().unwrap();
        assert!(flags.contains(LocalFlags::ICANON | LocalFlags::ECHO), "{child}: {text:?}");
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{child}: {text:?}"));
        let [taken, given, told] = ["\u{1b}[?1049h", "\u{1b}[?1049l", "it went wrong"].map(at);
        assert!(taken < given && given < told, "{child}: {text:?}");
        assert!(at("\u{1b}[?25h") < told, "{child}: {text:?}");
    }
}
