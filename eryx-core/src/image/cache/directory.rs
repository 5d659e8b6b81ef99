//! A directory that is this user's own: found without following what others could put in the way, and held open.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::fs::{fstat, mkdirat, openat, readlinkat, renameat, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// How many links a path may lead through, as Linux has it.
const MAX_LINKS: usize = 40;

/// The bits of a mode that let others write.
const OTHERS_WRITE: u32 = 0o022;

/// In such a directory only the owner of an entry, or of the directory, can rename it.
const STICKY: u32 = 0o1000;

/// Directories on the way need not be readable.
#[cfg(target_os = "linux")]
const ON_THE_WAY: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const ON_THE_WAY: OFlags = OFlags::RDONLY;

/// A directory that only this user can change, and that keeps being the one it was when it was opened.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory at `path`; what is missing of it is made with mode 0700.
    ///
    /// It has to be this user's, and no one else's to write to. The same holds for every directory and link on the way, but that
    /// they may be root's, and that others may write to a directory in which they cannot rename what is not theirs.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let absolute = std::path::absolute(path)?;
        let fd = descend(&absolute)?;
        let found = fstat(&fd)?;
        if found.st_uid != geteuid().as_raw() || mode(&found) & OTHERS_WRITE != 0 {
            return Err(writable(&absolute));
        }
        let fd = openat(
            &fd,
            c".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(Self { fd, path: absolute })
    }

    /// Returns where the directory was found.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file to read. Nothing is waited for, and no link is followed.
    pub(super) fn read(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Makes a file of mode 0600 that was not there.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(
            &self.fd,
            name,
            flags,
            Mode::RUSR | Mode::WUSR,
        )?))
    }

    /// Gives a file the name `to`, in place of what has it.
    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.fd, from, &self.fd, to)?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Returns what the system knows of an entry; of a link, not of what it leads to.
    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        Ok(statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Returns this user's regular files, by name.
    pub(super) fn files(&self) -> io::Result<Vec<(OsString, Stat)>> {
        let mut files = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
            // What is gone by now is no file.
            if let Ok(found) = self.stat(&name)
                && is_own_file(&found)
            {
                files.push((name, found));
            }
        }
        Ok(files)
    }
}

/// Whether this is a regular file of this user's.
pub(super) fn is_own_file(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        && found.st_uid == geteuid().as_raw()
}

fn mode(found: &Stat) -> u32 {
    // Some systems have 16 bits of it.
    #[allow(clippy::useless_conversion, reason = "not on every system")]
    u32::from(found.st_mode)
}

/// Opens a directory by an absolute path, one part after the other, each checked before it is gone through.
fn descend(path: &Path) -> io::Result<OwnedFd> {
    let mut rest: VecDeque<OsString> = parts(path);
    let mut way = vec![enter(None, OsStr::new("/"), Path::new("/"))?];
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == "/" {
            way.truncate(1);
            at = PathBuf::from("/");
            continue;
        }
        if name == ".." {
            // The root is above itself.
            if way.len() > 1 {
                way.pop();
                at.pop();
            }
            continue;
        }
        let parent = way.last().expect("the root stays");
        match statat(parent, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                if !is_trusted(found.st_uid) {
                    return Err(writable(&at.join(&name)));
                }
                let target = readlinkat(parent, &name, Vec::new())?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
                continue;
            }
            Ok(_) => {}
            Err(Errno::NOENT) => match mkdirat(parent, &name, Mode::RWXU) {
                // Another process makes it, too.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        }
        at.push(&name);
        let entered = enter(Some(parent), &name, &at)?;
        way.push(entered);
    }
    Ok(way.pop().expect("the root stays"))
}

/// The parts of a path that lead somewhere; "/" is the root.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

/// Opens a directory on the way, in which no one else may exchange what comes next.
fn enter(parent: Option<&OwnedFd>, name: &OsStr, path: &Path) -> io::Result<OwnedFd> {
    let flags = ON_THE_WAY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match parent {
        Some(parent) => openat(parent, name, flags, Mode::empty()),
        None => openat(rustix::fs::CWD, name, flags, Mode::empty()),
    };
    let opened = opened.map_err(|error| match error {
        Errno::NOTDIR => io::Error::other(format!("{} is no directory", path.display())),
        error => error.into(),
    })?;
    let found = fstat(&opened)?;
    let sticks = mode(&found) & STICKY != 0;
    if !is_trusted(found.st_uid) || (mode(&found) & OTHERS_WRITE != 0 && !sticks) {
        return Err(writable(path));
    }
    Ok(opened)
}

/// Whether this user's files are in the hands of `uid` anyway.
fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

fn writable(path: &Path) -> io::Error {
    io::Error::other(format!(
        "{} can be changed by others; make it yours alone (chmod go-w), or set ERYX_CACHE_DIR to a directory that is, below \
         directories that are",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_directory_that_is_missing_is_made_for_this_user_alone() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("new/../new/./eryx");
        Directory::open(&path).expect("made");
        for made in ["new", "new/eryx"] {
            let found = fs::metadata(dir.path().join(made)).expect("there");
            assert_eq!(found.mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_directory_that_others_can_write_to_or_that_lies_in_one_is_refused() {
        let dir = tempfile::tempdir().expect("made");
        let outer = dir.path().join("outer");
        let inner = outer.join("inner");
        Directory::open(&inner).expect("made");
        for (path, mode, accepted) in [
            (&inner, 0o770, false),
            (&inner, 0o702, false),
            (&inner, 0o1777, false),
            (&inner, 0o755, true),
            (&outer, 0o775, false),
            (&outer, 0o707, false),
            (&outer, 0o1777, true),
            (&outer, 0o711, true),
        ] {
            set_mode(path, mode);
            let opened = Directory::open(&inner);
            assert_eq!(opened.is_ok(), accepted, "{} {mode:o}", path.display());
            if let Err(error) = opened {
                let error = error.to_string();
                assert!(error.contains("ERYX_CACHE_DIR"), "{error}");
                assert!(error.contains(&*path.to_string_lossy()), "{error}");
            }
            set_mode(path, 0o700);
        }
        // Only root may give things away.
        if std::os::unix::fs::chown(&outer, Some(65534), None).is_ok() {
            Directory::open(&inner).expect_err("its owner may rename what is in it");
        }
    }

    #[test]
    fn links_of_this_user_are_followed_and_those_of_others_and_circles_are_not() {
        let dir = tempfile::tempdir().expect("made");
        let target = dir.path().join("there");
        Directory::open(&target).expect("made");
        for (link, to) in [
            ("absolute", &*target),
            ("relative", Path::new("../x/there")),
            ("two", Path::new("absolute")),
        ] {
            let to = if link == "relative" {
                PathBuf::from(format!(
                    "../{}/there",
                    dir.path().file_name().expect("named").to_string_lossy()
                ))
            } else {
                to.to_owned()
            };
            let link = dir.path().join(link);
            symlink(to, &link).expect("linked");
            let opened = Directory::open(&link.join("below")).expect("opened");
            let found = fs::metadata(target.join("below")).expect("made there");
            assert_eq!(fstat(&opened.fd).expect("there").st_ino, found.ino());
        }
        let circle = dir.path().join("circle");
        symlink("circle", &circle).expect("linked");
        Directory::open(&circle).expect_err("a circle");
        let theirs = dir.path().join("absolute");
        if lchown(&theirs, Some(65534), None).is_ok() {
            Directory::open(&theirs).expect_err("another user's link");
        }
    }

    #[test]
    fn an_open_directory_stays_the_one_it_was_when_its_name_is_given_to_another() {
        let dir = tempfile::tempdir().expect("made");
        let path = dir.path().join("cache");
        let opened = Directory::open(&path).expect("made");
        fs::write(path.join("entry"), "ours").expect("written");
        fs::rename(&path, dir.path().join("away")).expect("renamed");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("entry"), "theirs").expect("written");
        let file = opened.read(OsStr::new("entry")).expect("opened");
        assert_eq!(io::read_to_string(file).expect("read"), "ours");
    }

    #[test]
    fn neither_links_nor_what_is_no_file_is_among_the_files() {
        let dir = tempfile::tempdir().expect("made");
        let opened = Directory::open(dir.path()).expect("opened");
        fs::write(dir.path().join("file"), "").expect("written");
        symlink("/dev/zero", dir.path().join("link")).expect("linked");
        fs::create_dir(dir.path().join("folder")).expect("made");
        let names: Vec<_> = opened
            .files()
            .expect("listed")
            .into_iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(names, ["file"]);
        opened
            .read(OsStr::new("link"))
            .expect_err("a link is not followed");
    }
}
