//! A follower and real files.

mod stage;

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{PermissionsExt as _, symlink},
    sync::mpsc::{RecvTimeoutError, channel},
};

use nix::{
    sys::stat::Mode,
    unistd::{Uid, mkfifo, setfsuid},
};

use self::stage::{BY_EVENTS, BY_POLLING, LONG, MEANS, Stage, by_all_means, by_means, exchange};
use super::*;

#[test]
fn changes_are_noticed_by_all_means_however_they_are_made() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, options);
        stage.write("list", "first");
        stage.set(&["list"]);
        stage.expect("list", Ok("first"));
        stage.replace("list", "renamed over");
        stage.expect("list", Ok("renamed over"));
        stage.write("list", "rewritten");
        stage.expect("list", Ok("rewritten"));
        let mut file = OpenOptions::new().append(true).open(stage.at("list")).unwrap();
        file.write_all(b", appended").unwrap();
        drop(file);
        stage.expect("list", Ok("rewritten, appended"));
        fs::remove_file(stage.at("list")).unwrap();
        stage.expect("list", Err("is missing"));
        stage.write("list", "made again");
        stage.expect("list", Ok("made again"));
        stage.write("list", "");
        stage.expect("list", Ok(""));
    });
}

#[test]
fn only_the_whole_of_a_file_is_taken_from_a_slow_writer() {
    // It pauses for longer than it takes to settle: only a lease or the closing tells. Polling alone cannot know.
    by_means(&MEANS[..3], |what, options| {
        let stage = Stage::new(what, options);
        stage.write("list", "before");
        stage.set(&["list"]);
        stage.expect("list", Ok("before"));
        let mut file = File::create(stage.at("list")).unwrap();
        for _ in 0..3 {
            file.write_all(b"part ").unwrap();
            thread::sleep(options.settle * 3 / 2);
        }
        drop(file);
        stage.expect("list", Ok("part part part "));
    });
}

#[test]
fn a_file_that_is_being_written_when_it_is_first_followed_is_awaited() {
    let stage = Stage::new("", BY_EVENTS);
    let mut file = File::create(stage.at("list")).unwrap();
    stage.set(&["list"]);
    stage.expect_nothing();
    file.write_all(b"whole").unwrap();
    drop(file);
    stage.expect("list", Ok("whole"));
}

#[test]
fn without_leases_a_new_file_is_read_at_once_when_it_is_old_and_else_when_it_has_settled() {
    let slow = Options { leases: false, settle: Duration::from_secs(2), ..BY_EVENTS };
    let stage = Stage::new("", slow);
    stage.write("list", "young");
    let start = Instant::now();
    stage.set(&["list"]);
    stage.expect("list", Ok("young"));
    assert!(start.elapsed() >= slow.settle);
    // By now it is old.
    let path = stage.at("list");
    assert!(Followed::new(path, Instant::now()).judge(Instant::now(), &slow).is_some());
}

#[test]
fn without_leases_a_writer_that_goes_on_after_another_has_closed_the_file_is_awaited() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    let options = Options { settle: Duration::from_hours(1), leases: false, ..BY_EVENTS };
    let mut now = Instant::now();
    let mut followed = Followed::new(path.clone(), now);
    assert_eq!(followed.judge(now, &options).unwrap().content.unwrap_err(), FollowError::Missing);
    let mut file = File::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    // Somebody else has closed it.
    followed.look(Sign::Complete, now, &options);
    file.write_all(b" and half").unwrap();
    for _ in 0..3 {
        now += options.debounce;
        assert!(followed.judge(now, &options).is_none());
    }
    followed.look(Sign::Complete, now, &options);
    now += options.debounce;
    assert_eq!(followed.judge(now, &options).unwrap().content.unwrap(), b"half and half");
}

#[test]
fn a_writer_that_does_not_end_is_told_of_once_and_the_content_when_it_has_ended() {
    for (what, options) in MEANS.iter().filter(|(_, options)| options.leases) {
        let impatient = Options { patience: Duration::from_millis(100), ..*options };
        let impatient = Options { poll: Duration::from_millis(50), ..impatient };
        let stage = Stage::new(what, impatient);
        stage.write("list", "before");
        stage.set(&["list"]);
        stage.expect("list", Ok("before"));
        let mut file = OpenOptions::new().append(true).open(stage.at("list")).unwrap();
        file.write_all(b" and after").unwrap();
        let held = "is held open for writing and so may be half-written: it is taken when its writer closes it";
        stage.expect("list", Err(held));
        stage.expect_nothing();
        drop(file);
        stage.expect("list", Ok("before and after"));
    }
}

#[test]
fn a_file_that_keeps_changing_is_told_of_when_nothing_shows_that_it_is_whole() {
    let settle = Duration::from_secs(3);
    let patience = Duration::from_millis(300);
    let stage = Stage::new("", Options { settle, patience, leases: false, ..BY_POLLING });
    stage.set(&["list"]);
    stage.expect("list", Err("is missing"));
    let mut file = File::create(stage.at("list")).unwrap();
    let start = Instant::now();
    let error = loop {
        file.write_all(b".").unwrap();
        match stage.news.recv_timeout(Duration::from_millis(5)) {
            Ok(News { content, .. }) => break content.unwrap_err(),
            Err(error) => assert!(start.elapsed() < LONG, "{error}"),
        }
    };
    assert_eq!(error, FollowError::Changing);
}

#[test]
fn a_burst_that_does_not_end_is_read_now_and_then() {
    by_means(&MEANS[..2], |what, options| {
        let (debounce, latest) = (Duration::from_millis(400), Duration::from_millis(600));
        let stage = Stage::new(what, Options { debounce, latest, ..options });
        stage.write("list", "");
        stage.set(&["list"]);
        stage.expect("list", Ok(""));
        let start = Instant::now();
        let mut seen = 0;
        for n in 0_u64.. {
            stage.replace("list", &n.to_string());
            if let Ok(news) = stage.news.recv_timeout(Duration::from_millis(5)) {
                news.content.unwrap();
                seen += 1;
            }
            if seen == 2 {
                break;
            }
            assert!(start.elapsed() < LONG, "{what}: {seen} news");
        }
    });
}

#[test]
fn several_changes_at_once_are_one_news() {
    let patient =
        Options { debounce: Duration::from_secs(1), latest: Duration::from_secs(10), ..BY_EVENTS };
    let stage = Stage::new("", patient);
    stage.write("list", "first");
    stage.set(&["list"]);
    stage.expect("list", Ok("first"));
    for n in 0..20 {
        stage.replace("list", &n.to_string());
    }
    stage.expect("list", Ok("19"));
    stage.expect_nothing();
}

#[test]
fn unchanged_content_is_no_news() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, options);
        stage.write("list", "same");
        stage.set(&["list"]);
        stage.expect("list", Ok("same"));
        stage.write("list", "same");
        stage.replace("list", "same");
        stage.expect_nothing();
        stage.set(&["list"]);
        stage.expect_nothing();
        stage.write("list", "other");
        stage.expect("list", Ok("other"));
    });
}

#[test]
fn a_file_swapped_away_and_back_before_anybody_cares_is_no_news() {
    let patient = Options { settle: Duration::from_secs(10), ..BY_EVENTS };
    let stage = Stage::new("", patient);
    stage.write("list", "same");
    stage.set(&["list"]);
    stage.expect("list", Ok("same"));
    // As some editors do it.
    fs::rename(stage.at("list"), stage.at("list~")).unwrap();
    thread::sleep(4 * patient.debounce);
    stage.write("list", "edited");
    stage.expect("list", Ok("edited"));
}

#[test]
fn what_cannot_be_followed_is_told_once_and_the_file_when_it_can() {
    type Put = fn(&Path);
    let table: [(&str, Put); 4] = [
        ("is missing", |_| ()),
        ("is a directory, not a regular file", |path| fs::create_dir(path).unwrap()),
        ("is a FIFO, not a regular file", |path| mkfifo(path, Mode::S_IRWXU).unwrap()),
        ("is larger than 1000 bytes, the most that a followed file may be", |path| {
            fs::write(path, [b'x'; 1001]).unwrap();
        }),
    ];
    let test = |error: &str, put: Put| {
        by_all_means(|means, options| {
            let stage = Stage::new(&format!("{means}: {error}"), options);
            put(&stage.at("list"));
            stage.set(&["list"]);
            stage.expect("list", Err(error));
            stage.expect_nothing();
            stage.write("good", "good");
            if stage.at("list").exists() {
                exchange(&stage.at("list"), &stage.at("good"));
                stage.expect("list", Ok("good"));
                exchange(&stage.at("list"), &stage.at("good"));
            } else {
                fs::rename(stage.at("good"), stage.at("list")).unwrap();
                stage.expect("list", Ok("good"));
                fs::remove_file(stage.at("list")).unwrap();
            }
            stage.expect("list", Err(error));
        });
    };
    thread::scope(|scope| {
        for (error, put) in table {
            scope.spawn(move || test(error, put));
        }
    });
}

#[test]
fn a_file_that_may_not_be_read_is_told_of_once_and_taken_when_it_may() {
    by_all_means(|what, options| {
        // Of this thread and that of the follower only: nobody in particular, so that modes count for root too.
        setfsuid(Uid::from_raw(65534));
        let stage = Stage::new(what, options);
        setfsuid(Uid::current());
        let mode = |name: &str, mode| {
            fs::set_permissions(stage.at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode("", 0o755);
        fs::create_dir(stage.at("d")).unwrap();
        stage.write("d/list", "secret");
        mode("d/list", 0o000);
        stage.set(&["d/list"]);
        let denied = "cannot be read: Permission denied";
        stage.expect("d/list", Err(denied));
        stage.expect_nothing();
        mode("d/list", 0o644);
        stage.expect("d/list", Ok("secret"));
        mode("d", 0o000);
        stage.expect("d/list", Err(denied));
        mode("d", 0o755);
        stage.expect("d/list", Ok("secret"));
    });
}

#[test]
fn a_swap_of_the_links_on_the_way_is_noticed() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, options);
        // As Kubernetes mounts a ConfigMap.
        let swap = |version: &str| {
            fs::create_dir(stage.at(version)).unwrap();
            fs::write(stage.at(version).join("list"), version).unwrap();
            symlink(version, stage.at("..data_tmp")).unwrap();
            fs::rename(stage.at("..data_tmp"), stage.at("..data")).unwrap();
        };
        swap("..1");
        symlink("..data/list", stage.at("list")).unwrap();
        symlink(stage.at("list"), stage.at("outer")).unwrap();
        stage.set(&["outer"]);
        stage.expect("outer", Ok("..1"));
        swap("..2");
        stage.expect("outer", Ok("..2"));
        fs::remove_dir_all(stage.at("..1")).unwrap();
        stage.expect_nothing();
        swap("..3");
        stage.expect("outer", Ok("..3"));
        fs::write(stage.at("..3/list"), "in place").unwrap();
        stage.expect("outer", Ok("in place"));
        fs::remove_file(stage.at("list")).unwrap();
        stage.expect("outer", Err("is missing"));
        symlink("..2/list", stage.at("list")).unwrap();
        stage.expect("outer", Ok("..2"));
    });
}

#[test]
fn directories_on_the_way_may_come_and_go() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, options);
        let list = "a/b/list";
        stage.set(&[list]);
        stage.expect(list, Err("is missing"));
        fs::create_dir(stage.at("a")).unwrap();
        fs::create_dir(stage.at("a/b")).unwrap();
        stage.write(list, "made");
        stage.expect(list, Ok("made"));
        fs::create_dir_all(stage.at("other/b")).unwrap();
        stage.write("other/b/list", "other");
        exchange(&stage.at("a"), &stage.at("other"));
        stage.expect(list, Ok("other"));
        stage.write("other/b/list", "not followed any more");
        stage.expect_nothing();
        stage.write(list, "followed");
        stage.expect(list, Ok("followed"));
        fs::remove_dir_all(stage.at("a")).unwrap();
        stage.expect(list, Err("is missing"));
    });
}

#[test]
fn only_what_was_set_last_is_followed() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, options);
        stage.write("one", "1");
        stage.write("two", "2");
        stage.set(&["one"]);
        stage.expect("one", Ok("1"));
        stage.set(&["one", "two"]);
        stage.expect("two", Ok("2"));
        stage.set(&["two"]);
        stage.write("one", "unseen");
        stage.write("two", "22");
        stage.expect("two", Ok("22"));
        stage.expect_nothing();
        stage.set(&["one"]);
        stage.expect("one", Ok("unseen"));
        stage.set(&[]);
        stage.write("one", "not any more");
        stage.expect_nothing();
        stage.set(&["one"]);
        stage.expect("one", Ok("not any more"));
    });
}

#[test]
fn who_is_writable_by_everybody_is_told_and_that_it_is_not_any_more() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, options);
        let mode = |name: &str, mode| {
            fs::set_permissions(stage.at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir(stage.at("d")).unwrap();
        stage.write("d/list", "same");
        stage.set(&["d/list"]);
        assert_eq!(stage.next().writable_by_all, None, "{what}");
        for (name, exposed, kept) in [("d/list", 0o666, 0o644), ("d", 0o777, 0o1777)] {
            mode(name, exposed);
            let news = stage.next();
            assert_eq!(news.writable_by_all, Some(stage.at(name)), "{what}");
            assert_eq!(news.content.unwrap(), b"same");
            mode(name, kept);
            assert_eq!(stage.next().writable_by_all, None, "{what}");
        }
    });
}

#[test]
fn dropping_the_follower_ends_its_thread() {
    by_all_means(|what, options| {
        let stage = Stage::new(what, Options { poll: Duration::from_hours(1), ..options });
        stage.write("list", "");
        stage.set(&["list"]);
        stage.expect("list", Ok(""));
        drop(stage.follower);
        // The sink goes with the thread.
        let end = stage.news.recv_timeout(LONG);
        assert!(matches!(end, Err(RecvTimeoutError::Disconnected)), "{what}: {end:?}");
    });
}

#[test]
fn a_large_file_is_taken_whole_under_the_default_options() {
    let (sender, news) = channel();
    let follower = Follower::start(move |news| sender.send(news).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("list");
    let content = "192.0.2.1\n".repeat(500_000);
    fs::write(&path, &content).unwrap();
    follower.set(BTreeSet::from([path]));
    let found = news.recv_timeout(LONG).unwrap().content.unwrap();
    assert!(found == content.as_bytes(), "{} bytes", found.len());
}
