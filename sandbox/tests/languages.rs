//! The table of languages: the built-in one is sound, and a wrong one is refused for what is wrong
//! with it.

use std::error::Error as _;

use sandbox::languages::{Catalog, CatalogError, CatalogFileError, Language, LanguagesConfig};

const LIMITS: &str = "[compile_limits]\ncpu_time_ms = 1\nwall_time_ms = 2\nmemory_kib = 3\nstack_kib = 4\noutput_bytes = 5\n\
                      file_size_kib = 6\nprocesses = 7\n";

fn parse(languages: &str) -> Result<Catalog, CatalogError> {
    Catalog::parse(&format!("{LIMITS}{languages}"))
}

fn language(slug: &str, rest: &str) -> String {
    format!(
        "[[language]]\nslug = '{slug}'\nname = 'N'\nversion = '1'\nsource_file = 'main.n'\nextensions = ['n']\n{rest}\n"
    )
}

#[test]
fn the_built_in_table_has_the_core_languages() {
    let catalog = Catalog::builtin();
    let slugs: Vec<&str> =
        catalog.languages().iter().map(|language| language.slug.as_str()).collect();
    assert_eq!(slugs, ["python", "c", "cpp", "javascript", "bash"]);
    assert!(
        catalog
            .languages()
            .iter()
            .all(|language| language.pool == "core" && language.image == "core")
    );
    for language in catalog.languages() {
        let (_, extension) = language.source_file.rsplit_once('.').expect("an extension");
        let takes = |other: &&Language| other.extensions.iter().any(|known| known == extension);
        let takers: Vec<&str> =
            catalog.languages().iter().filter(takes).map(|it| it.slug.as_str()).collect();
        assert_eq!(takers, [language.slug.as_str()], "its own file, and no other language's");
        assert_eq!(language.is_compiled(), language.compile_argv::<&str, &str>(&[], &[]).is_some());
    }
}

#[test]
fn a_language_is_found_by_any_of_its_names() {
    let catalog = Catalog::builtin();
    for (name, slug) in
        [("cpp", "cpp"), ("C++", "cpp"), ("Node", "javascript"), ("py3", "python"), ("sh", "bash")]
    {
        assert_eq!(catalog.find(name).map(|language| language.slug.as_str()), Some(slug), "{name}");
    }
    assert!(catalog.find("cobol").is_none() && catalog.find("").is_none());
}

#[test]
fn command_lines_are_filled_in() {
    let catalog = Catalog::builtin();
    let python = catalog.find("python").expect("built in");
    assert_eq!(python.compile_argv(&["x.py"], &["-O"]), None);
    assert_eq!(python.run_argv("x.py", &["a b", "{entry}"]), ["python3", "x.py", "a b", "{entry}"]);
    assert_eq!(python.run_argv::<&str>("-c.py", &[]), ["python3", "./-c.py"]);
    let cpp = catalog.find("cpp").expect("built in");
    let argv = cpp.compile_argv(
        &["main.txt", "a.h", "cc", "b c.cc", "-x.cpp", "d.cpp/e"],
        &["-Wall", "-DA=b c"],
    );
    let expected = [
        "g++",
        "-std=gnu++20",
        "-O2",
        "-Wall",
        "-DA=b c",
        "-o",
        "program",
        "main.txt",
        "b c.cc",
        "./-x.cpp",
    ];
    assert_eq!(argv.expect("compiled"), expected);
    assert_eq!(cpp.run_argv("main.cpp", &["1"]), ["./program", "1"]);
}

#[test]
fn limits_of_compilers_are_the_tables_or_the_languages_own() {
    let own = format!(
        "run = ['b']\ncompile_limits = {{ {} }}",
        LIMITS.lines().skip(1).collect::<Vec<_>>().join(", ").replace('7', "9")
    );
    let table = [language("a", "run = ['a']"), language("b", &own)].concat();
    let catalog = parse(&table).expect("sound");
    let processes = |slug| catalog.find(slug).expect("there").compile_limits.processes;
    assert_eq!((processes("a"), processes("b")), (7, 9));
}

#[test]
fn the_table_comes_from_the_configured_file_if_there_is_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let load = || Catalog::load(&LanguagesConfig { file: Some(file.path().to_owned()) });
    std::fs::write(file.path(), [LIMITS, &language("a", "run = ['a']")].concat()).unwrap();
    let slugs = |catalog: &Catalog| -> Vec<String> {
        catalog.languages().iter().map(|language| language.slug.clone()).collect()
    };
    assert_eq!(slugs(&load().unwrap()), ["a"]);
    let builtin = Catalog::load(&LanguagesConfig::default()).unwrap();
    assert_eq!(slugs(&builtin), slugs(&Catalog::builtin()));

    std::fs::write(file.path(), "language = []").unwrap();
    let unsound = load().unwrap_err();
    assert!(matches!(&unsound, CatalogFileError::Unsound { path, .. } if path == file.path()));
    assert!(unsound.source().is_some());
    let absent = LanguagesConfig { file: Some("/no/such/table".into()) };
    let unreadable = Catalog::load(&absent).unwrap_err();
    assert!(unreadable.to_string().contains("/no/such/table"), "{unreadable}");
}

#[test]
fn a_wrong_table_is_refused() {
    let a = language("a", "run = ['a']");
    let taken =
        |rest: &str| parse(&[a.clone(), language("b", &format!("run = ['b']\n{rest}"))].concat());
    assert_eq!(taken("").expect("sound").languages().len(), 2);
    assert!(matches!(taken("aliases = ['A']"), Err(CatalogError::NameTaken { .. })));
    let twice = [a.clone(), a.clone()].concat();
    assert!(matches!(parse(&twice), Err(CatalogError::NameTaken { .. })));
    let ids = [
        language("a", "run = ['a']\njudge0_ids = [1]"),
        language("b", "run = ['b']\njudge0_ids = [1]"),
    ]
    .concat();
    assert!(matches!(parse(&ids), Err(CatalogError::NameTaken { .. })));
    for slug in ["", "C", "c++", "1a", "a.b", "a b", "*"] {
        let refused = parse(&language(slug, "run = ['a']"));
        assert!(matches!(refused, Err(CatalogError::Slug { .. })), "{slug:?}");
    }
    for pool in ["", "a.b", "Core"] {
        let refused = parse(&language("a", &format!("run = ['a']\npool = '{pool}'")));
        assert!(matches!(refused, Err(CatalogError::Pool { .. })), "{pool:?}");
    }
    for file in ["", "../main.n", "a/b", ".n", "a b"] {
        let refused = parse(&a.replace("main.n", file));
        assert!(matches!(refused, Err(CatalogError::SourceFile { .. })), "{file:?}");
    }
    for run in ["run = []", "run = ['']", "run = ['a']\ncompile = []"] {
        assert!(
            matches!(parse(&language("a", run)), Err(CatalogError::EmptyCommand { .. })),
            "{run}"
        );
    }
    for run in [
        "run = ['a', '{file}']",
        "run = ['a', '{sources}']",
        "run = ['a']\ncompile = ['-I{sources}']",
        "run = ['{entry}{x}']",
    ] {
        assert!(
            matches!(parse(&language("a", run)), Err(CatalogError::Placeholder { .. })),
            "{run}"
        );
    }
    for run in ["run = ['a']\ncolour = 'red'", "run = 'a'", ""] {
        let refused = parse(&language("a", run)).unwrap_err();
        let named = matches!(&refused, CatalogError::Language { slug, .. } if slug == "\"a\"");
        assert!(named, "{run}: {refused:?}");
    }
}
