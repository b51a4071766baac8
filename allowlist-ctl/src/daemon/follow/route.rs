//! The way to a file: each directory in which a name is looked up.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

/// Symbolic links that the kernel goes through; one more is an error.
const MAX_LINKS: u32 = 40;
const STICKY: u32 = 0o1000;
const WRITABLE_BY_ALL: u32 = 0o002;

/// A name that is looked up, and the directory, free of links, in which it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Step {
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
}

/// The way to a file, as far as there is one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Route {
    pub(super) steps: Vec<Step>,
    /// The first directory in which everybody may replace what is looked up there.
    pub(super) writable_by_all: Option<PathBuf>,
}

/// What is still to be looked up.
enum Part {
    Root,
    Up,
    Name(OsString),
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = Part> {
    path.components().filter_map(|component| match component {
        Component::RootDir => Some(Part::Root),
        Component::ParentDir => Some(Part::Up),
        Component::Normal(name) => Some(Part::Name(name.into())),
        Component::CurDir | Component::Prefix(_) => None,
    })
}

impl Route {
    /// Goes the way to an absolute path, through all links; it ends early where something is missing.
    pub(super) fn to(path: &Path) -> Self {
        let mut route = Self::default();
        let mut ahead: VecDeque<Part> = parts(path).collect();
        let mut directory = PathBuf::from("/");
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            let name = match part {
                Part::Root => {
                    directory = PathBuf::from("/");
                    continue;
                }
                Part::Up => {
                    // There is no link in it, so that its parent is the one that is written.
                    directory.pop();
                    continue;
                }
                Part::Name(name) => name,
            };
            let there = directory.join(&name);
            route.pass(&directory, name);
            if let Ok(target) = fs::read_link(&there) {
                links += 1;
                if links > MAX_LINKS {
                    break;
                }
                for part in parts(&target).rev() {
                    ahead.push_front(part);
                }
            } else if !ahead.is_empty() && !there.is_dir() {
                break;
            } else {
                directory = there;
            }
        }
        route
    }

    fn pass(&mut self, directory: &Path, name: OsString) {
        let open_to_all = || {
            let mode = fs::symlink_metadata(directory).map_or(0, |metadata| metadata.mode());
            mode & WRITABLE_BY_ALL != 0 && mode & STICKY == 0
        };
        if self.writable_by_all.is_none() && open_to_all() {
            self.writable_by_all = Some(directory.into());
        }
        self.steps.push(Step { directory: directory.into(), name });
    }

    /// Whether the way goes by this name in a directory of which `here` holds.
    pub(super) fn goes_by(&self, here: impl Fn(&Path) -> bool, name: &OsStr) -> bool {
        self.steps.iter().any(|step| step.name == name && here(&step.directory))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_way_passes_every_link_and_stops_where_something_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/one")).unwrap();
        fs::write(root.join("a/one/list"), "").unwrap();
        symlink("one", root.join("a/data")).unwrap();
        symlink("data/list", root.join("a/list")).unwrap();
        symlink(root.join("a"), root.join("b")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let table: &[(&str, &str, &[&str])] = &[
            ("a plain file", "a/one/list", &["a", "a/one", "a/one/list"]),
            ("a link to a link", "a/list", &["a", "a/list", "a/data", "a/one", "a/one/list"]),
            ("an absolute link", "b/one/list", &["b", "a", "a/one", "a/one/list"]),
            ("up and down", "a/one/../one/list", &["a", "a/one", "a/one", "a/one/list"]),
            ("up out of a link", "b/../b", &["b", "a", "b", "a"]),
            ("a file that is not there", "a/two", &["a", "a/two"]),
            ("a directory that is not there", "c/d/list", &["c"]),
            ("below a file", "a/one/list/x", &["a", "a/one", "a/one/list"]),
        ];
        for (what, path, expected) in table {
            let steps = Route::to(&root.join(path)).steps.into_iter();
            let steps = steps.map(|step| step.directory.join(step.name));
            let mut below: Vec<_> =
                steps.filter_map(|step| Some(step.strip_prefix(&root).ok()?.to_owned())).collect();
            below.retain(|step| step != Path::new(""));
            assert_eq!(below, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{what}");
        }
        assert!(Route::to(&root.join("loop")).steps.len() < 100);
    }

    #[test]
    fn a_directory_where_everybody_may_replace_names_is_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let directory = root.join("d");
        fs::create_dir(&directory).unwrap();
        symlink("d/list", root.join("link")).unwrap();
        for (mode, expected) in [(0o755, None), (0o1777, None), (0o777, Some(&directory))] {
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
            for path in ["d/list", "link"] {
                let found = Route::to(&root.join(path)).writable_by_all;
                assert_eq!(found.as_ref(), expected, "{path} {mode:o}");
            }
        }
    }
}
