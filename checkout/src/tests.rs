use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A repository with the project in it, as deep as `below` says.
struct Repository {
    directory: TempDir,
    root: PathBuf,
}

impl Repository {
    fn new(below: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join(below);
        fs::create_dir_all(root.join("crate")).unwrap();
        fs::write(root.join("Cargo.toml"), "[workspace]\nmembers = [\"crate\"]\n").unwrap();
        fs::write(root.join("crate/Cargo.toml"), "[package]\n").unwrap();
        fs::write(root.join(".gitignore"), include_str!("../../.gitignore")).unwrap();
        let repository = Self { directory, root };
        repository.run("init --quiet");
        repository
    }

    #[track_caller]
    fn run(&self, line: &str) -> String {
        run(self.directory.path(), line)
    }

    fn commit(&self, message: &str) -> String {
        self.run("add --all");
        self.run(&format!("commit --quiet --allow-empty -m {message}"));
        self.run("rev-parse HEAD")
    }

    fn checkout(&self) -> Checkout {
        Checkout::around(&self.root.join("crate")).unwrap()
    }
}

#[track_caller]
fn run(directory: &Path, line: &str) -> String {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
    let words = identity.into_iter().chain(line.split_whitespace());
    git(directory, &words.collect::<Vec<_>>()).map_err(|failure| failure.said).unwrap()
}

#[test]
fn only_what_names_a_commit_gets_to_git() {
    assert_eq!(parse("abc57858585"), Some(("abc57858585", false)));
    assert_eq!(parse("abc57858585-dirty"), Some(("abc57858585", true)));
    for bad in ["", "main", "-dirty", "--output=x", "../../abc5785", "abc57858585 dirty", "abc57"] {
        assert_eq!(parse(bad), None, "{bad}");
    }
}

#[test]
fn a_commit_is_behind_ahead_apart_or_unknown() {
    let repository = Repository::new("");
    let [first, second] = ["a", "b"].map(|message| repository.commit(message));
    let checkout = repository.checkout();
    assert_eq!(checkout.place(&first), Place::Behind(1));
    assert_eq!(checkout.place(&second[..11]), Place::Behind(0));
    repository.run("checkout --quiet HEAD^");
    assert_eq!(checkout.place(&second), Place::Ahead(1));
    repository.commit("c");
    assert_eq!(checkout.place(&second), Place::Apart);
    assert_eq!(checkout.place("0123456789a"), Place::Unknown);
}

#[test]
fn the_root_is_the_projects_wherever_it_is_in_the_repository() {
    for (below, prefix) in [("", ""), ("apps/api", "apps/api/")] {
        let repository = Repository::new(below);
        repository.commit("a");
        let checkout = repository.checkout();
        assert_eq!(checkout.root, repository.root);
        assert_eq!(checkout.prefix().unwrap(), prefix);
    }
}

#[test]
fn a_directory_without_the_project_is_no_checkout() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Checkout::around(empty.path()), Err(Absent::Checkout(_))));
    run(empty.path(), "init --quiet");
    assert!(matches!(Checkout::around(empty.path()), Err(Absent::Checkout(_))));
}

#[test]
fn sources_unpacked_inside_another_repository_are_no_checkout() {
    let other = Repository::new("");
    other.commit("a");
    let unpacked = other.directory.path().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    fs::write(unpacked.join("Cargo.toml"), "[workspace]\n").unwrap();
    for ignored in [false, true] {
        if ignored {
            fs::write(other.root.join(".gitignore"), "/unpacked\n").unwrap();
            other.commit("b");
        }
        let absent = Checkout::around(&unpacked).unwrap_err();
        assert_eq!(absent, Absent::Untracked(unpacked.clone()));
    }
}

#[test]
fn uncommitted_changes_make_it_dirty() {
    let repository = Repository::new("apps/api");
    let commit = repository.commit("a");
    let checkout = repository.checkout();
    assert_eq!(checkout.commit_or_dirty().unwrap(), commit[..11]);

    let new = repository.root.join("crate/new.rs");
    fs::write(&new, "").unwrap();
    let dirty = format!("{}-dirty", &commit[..11]);
    assert_eq!(checkout.commit_or_dirty().unwrap(), dirty);

    // The user's settings hide no new file.
    let excludes = repository.directory.path().join(".git/excludes");
    fs::write(&excludes, "*.rs\n").unwrap();
    repository.run("config status.showUntrackedFiles no");
    repository.run(&format!("config core.excludesFile {}", excludes.display()));
    assert_eq!(checkout.commit_or_dirty().unwrap(), dirty);
    fs::remove_file(new).unwrap();
    assert_eq!(checkout.commit_or_dirty().unwrap(), commit[..11]);
}

#[test]
fn a_target_that_is_a_link_is_ignored_as_the_directory_is() {
    let repository = Repository::new("");
    let commit = repository.commit("a");
    symlink("/tmp", repository.root.join("target")).unwrap();
    assert_eq!(repository.checkout().commit_or_dirty().unwrap(), commit[..11]);
}

#[test]
fn a_shallow_clone_is_told_how_to_get_old_commits() {
    let repository = Repository::new("");
    let [first, second] = ["a", "b"].map(|message| repository.commit(message));
    let whole = repository.checkout();
    assert_eq!(whole.fetch(), "git fetch --all");

    let place = tempfile::tempdir().unwrap();
    let from = repository.root.display();
    run(place.path(), &format!("clone --quiet --depth 1 file://{from} shallow"));
    let shallow = Checkout::at(&place.path().join("shallow")).unwrap();
    assert_eq!(shallow.place(&first), Place::Unknown);
    assert_eq!(shallow.place(&second), Place::Behind(0));
    assert_eq!(shallow.fetch(), "git fetch --unshallow");

    // It has both now, but not what lies between them.
    repository.commit("c");
    run(&shallow.root, "fetch --quiet --depth 1 origin");
    run(&shallow.root, "checkout --quiet FETCH_HEAD");
    assert_eq!(shallow.place(&second), Place::Unknown);
    assert_eq!(whole.place(&second), Place::Behind(1));
}

#[test]
fn a_repository_of_another_user_comes_with_gits_own_remedy() {
    let said = "fatal: detected dubious ownership in repository at '/w'\n\
                To add an exception for this directory, call:\n\n\tgit config --global --add safe.directory /w";
    let absent = Absent::from(Failure { code: Some(128), said: said.into() });
    let Absent::Owner { said, remedy } = absent else { panic!("{absent:?}") };
    assert_eq!(said, "fatal: detected dubious ownership in repository at '/w'");
    assert_eq!(remedy, "git config --global --add safe.directory /w");
}

#[test]
fn variables_of_a_hook_are_forgotten() {
    let git = command(Path::new("/"));
    let removed = |name: &str| git.get_envs().any(|(own, value)| own == name && value.is_none());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        assert!(removed(name), "{name}");
    }
    assert!(!removed("GIT_CONFIG_COUNT"), "it may hold safe.directory");
}
