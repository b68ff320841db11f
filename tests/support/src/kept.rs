//! `kept` is for files that all tests of a process use, and that stay in the folder for build results. A static value
//! is never dropped, so a scratch folder in it would stay in the system's folder for temporary files.

use std::fs;
use std::path::{self, Path, PathBuf};

/// Has `make` write a file at the path that it gets, moves it to its place, and returns that path.
///
/// The move is one step. So other processes may make a file of that name at the same time, if its content is the
/// same, and none of them meets a half written one. A process makes a file of a name only once.
pub fn kept(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let folder = crate::target().join("support");
    let folder = path::absolute(folder).expect("a path that is not empty");
    fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    let beside = folder.join(format!("{name}.{}", std::process::id()));
    make(&beside);
    let place = folder.join(name);
    fs::rename(&beside, &place)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", place.display()));
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_the_one_before() {
        let name = format!("of-a-test-{}", std::process::id());
        for text in ["one", "two"] {
            let file = kept(&name, |file| fs::write(file, text).expect("our folder"));
            assert_eq!(fs::read_to_string(&file).expect("the file"), text);
        }
        fs::remove_file(crate::target().join("support").join(name)).expect("the file");
    }
}
