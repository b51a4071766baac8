//! The configuration: the file, and the flags over it.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::{
    access::AccessConfig,
    args::{Args, DEFAULT_CONFIG},
    engine::EngineConfig,
    keep::{Keep, StoreConfig},
};
use crate::{
    api::DEFAULT_SOCKET,
    host::{MAX_INTERFACE_NAME, is_interface_name},
    kernel::{EngineSettings, XdpMode},
};

const STATE_DIR: &str = "/var/lib/allowlist";
const BPFFS: &str = "/sys/fs/bpf";

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigFile {
    interface: Vec<InterfaceConfig>,
    socket: SocketConfig,
    log: LogConfig,
    metrics: MetricsConfig,
    access: AccessConfig,
    store: StoreConfig,
    engine: EngineConfig,
    state_dir: Option<PathBuf>,
    bpffs: Option<PathBuf>,
}

/// An interface of the configuration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceConfig {
    /// Its name.
    pub(super) name: String,
    /// How the filter runs on it.
    #[serde(default)]
    pub(super) mode: Option<XdpMode>,
    /// What becomes of fragments after the first.
    #[serde(default)]
    pub(super) fragments: Fragments,
}

/// What becomes of fragments after the first, which have no port.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fragments {
    /// They pass: without the first fragment nothing is reassembled.
    #[default]
    Pass,
    /// They pass only from sources that some service of the interface admits.
    Strict,
}

/// The socket as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SocketConfig {
    path: Option<PathBuf>,
    mode: Option<String>,
    group: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogConfig {
    format: LogFormat,
}

/// The metrics over TCP as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetricsConfig {
    listen: Option<SocketAddr>,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs, an object a line.
    Json,
    /// To systemd's journal, with what JSON has as fields.
    Journald,
}

/// What the daemon runs with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Settings {
    pub(super) interfaces: Vec<InterfaceConfig>,
    pub(super) xdp_mode: XdpMode,
    pub(super) state_dir: PathBuf,
    pub(super) bpffs: PathBuf,
    pub(super) socket: SocketSettings,
    pub(super) log_format: LogFormat,
    /// Where metrics are served over TCP.
    pub(super) metrics: Option<SocketAddr>,
    pub(super) access: AccessConfig,
    pub(super) keep: Keep,
    /// How sources are looked up.
    pub(super) engine: EngineSettings,
    /// Whether the store is to be put in force whatever is.
    pub(super) adopt_store: bool,
}

/// Where the socket is, and who may open it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SocketSettings {
    pub(super) path: PathBuf,
    /// Permission bits.
    pub(super) mode: u32,
    /// Name of the group that it belongs to.
    pub(super) group: Option<String>,
}

impl Settings {
    /// Reads the file and puts the flags over it.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub(super) fn read(args: &Args) -> anyhow::Result<Self> {
        let file = match &args.config {
            Some(path) => read_file(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?,
            None => match read_file(Path::new(DEFAULT_CONFIG)) {
                Err(error) if is_missing(&error) => ConfigFile::default(),
                result => result
                    .with_context(|| format!("cannot read the configuration {DEFAULT_CONFIG}"))?,
            },
        };
        merge(file, args)
    }
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read_file(path: &Path) -> anyhow::Result<ConfigFile> {
    Ok(toml::from_str(&fs::read_to_string(path)?)?)
}

fn merge(file: ConfigFile, args: &Args) -> anyhow::Result<Settings> {
    let mut interfaces = file.interface;
    for name in &args.interfaces {
        if interfaces.iter().all(|known| known.name != *name) {
            interfaces.push(InterfaceConfig {
                name: name.clone(),
                mode: None,
                fragments: Fragments::Pass,
            });
        }
    }
    if args.xdp_mode.is_some() {
        for interface in &mut interfaces {
            interface.mode = args.xdp_mode;
        }
    }
    for interface in &interfaces {
        check_interface_name(&interface.name)?;
        let same = interfaces.iter().filter(|other| other.name == interface.name);
        if same.count() > 1 {
            bail!("the interface '{}' is configured twice", interface.name);
        }
    }
    let either = |flag: &Option<PathBuf>, file: Option<PathBuf>, default: &str| {
        flag.clone().or(file).unwrap_or_else(|| default.into())
    };
    Ok(Settings {
        interfaces,
        xdp_mode: args.xdp_mode.unwrap_or_default(),
        state_dir: either(&args.state_dir, file.state_dir, STATE_DIR),
        bpffs: either(&args.bpffs, file.bpffs, BPFFS),
        socket: SocketSettings {
            path: either(&args.socket, file.socket.path, DEFAULT_SOCKET),
            mode: file.socket.mode.as_deref().map_or(Ok(0o600), parse_mode)?,
            group: file.socket.group,
        },
        log_format: file.log.format,
        metrics: args.metrics.or(file.metrics.listen),
        access: file.access,
        keep: file.store.keep(),
        engine: file.engine.0,
        adopt_store: args.adopt_store,
    })
}

/// Checks that a name can be one of an interface.
///
/// # Errors
/// A sentence.
pub(super) fn check_interface_name(name: &str) -> anyhow::Result<()> {
    if !is_interface_name(name) {
        bail!(
            "'{}' is not the name of an interface: they have 1 to {MAX_INTERFACE_NAME} bytes, no space, '/' or ':'",
            name.escape_debug()
        );
    }
    Ok(())
}

fn parse_mode(text: &str) -> anyhow::Result<u32> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => bail!("'{text}' is no mode of a socket: write it in octal, such as \"0660\""),
    }
}

#[cfg(test)]
mod keys;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str, args: &Args) -> anyhow::Result<Settings> {
        merge(toml::from_str(text)?, args)
    }

    #[test]
    fn without_file_and_flags_there_are_defaults() {
        let settings = settings("", &Args::default()).unwrap();
        assert_eq!(settings.state_dir, Path::new("/var/lib/allowlist"));
        assert_eq!(settings.socket.path, Path::new("/run/allowlist/allowlistd.sock"));
        assert_eq!(settings.socket.mode, 0o600);
        assert_eq!(settings.interfaces, []);
        assert_eq!(settings.metrics, None);
    }

    #[test]
    fn flags_override_the_file() {
        let file = r#"
            state_dir = "/a"
            bpffs = "/b"
            [[interface]]
            name = "eth0"
            mode = "generic"
            [socket]
            path = "/c"
            mode = "0660"
            group = "ops"
            [log]
            format = "json"
        "#;
        let args = Args {
            interfaces: vec!["eth0".into(), "eth1".into()],
            state_dir: Some("/x".into()),
            ..Args::default()
        };
        let settings = settings(file, &args).unwrap();
        assert_eq!(settings.state_dir, Path::new("/x"));
        assert_eq!(settings.bpffs, Path::new("/b"));
        assert_eq!(settings.socket.mode, 0o660);
        assert_eq!(settings.log_format, LogFormat::Json);
        let interfaces: Vec<_> = settings
            .interfaces
            .iter()
            .map(|interface| (&*interface.name, interface.mode))
            .collect();
        assert_eq!(interfaces, [("eth0", Some(XdpMode::Generic)), ("eth1", None)]);
    }

    #[test]
    fn the_mode_of_the_flag_is_that_of_every_interface() {
        let file =
            "[[interface]]\nname = \"eth0\"\nmode = \"native\"\n[[interface]]\nname = \"eth1\"\n";
        for flag in [None, Some(XdpMode::Auto), Some(XdpMode::Generic)] {
            let args = Args { interfaces: vec!["eth2".into()], xdp_mode: flag, ..Args::default() };
            let settings = settings(file, &args).unwrap();
            let modes: Vec<_> = settings.interfaces.iter().map(|one| one.mode).collect();
            assert_eq!(modes, [flag.or(Some(XdpMode::Native)), flag, flag]);
            assert_eq!(settings.xdp_mode, flag.unwrap_or_default());
        }
    }

    #[test]
    fn metrics_are_served_where_the_file_or_rather_the_flag_says() {
        let [of_file, of_flag] = ["127.0.0.1:9777", "[::1]:9778"];
        let file = format!("[metrics]\nlisten = \"{of_file}\"");
        for (file, flag, expected) in [
            (&*file, None, Some(of_file)),
            (&file, Some(of_flag), Some(of_flag)),
            ("", Some(of_flag), Some(of_flag)),
        ] {
            let metrics = flag.map(|flag| flag.parse().unwrap());
            let settings = settings(file, &Args { metrics, ..Args::default() }).unwrap();
            assert_eq!(settings.metrics, expected.map(|address| address.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let table = [
            ("colour = 1", "unknown field `colour`"),
            ("[socket]\nmode = \"999\"", "'999' is no mode of a socket"),
            ("[[interface]]\nname = \"a\"\n[[interface]]\nname = \"a\"", "configured twice"),
            ("[[interface]]\nname = \"a b\"", "'a b' is not the name of an interface"),
            ("[[interface]]\nname = \"much-too-long-a-name\"", "1 to 15 bytes"),
            ("[[interface]]\nname = \"a\"\nmode = \"fast\"", "unknown variant `fast`"),
            ("[log]\nformat = \"syslog\"", "unknown variant `syslog`"),
            ("state_dir = 1", "invalid type"),
            ("engine = \"fast\"", "unknown variant `fast`"),
            ("[engine]\nkind = \"flat\"\nmemory = \"much\"", "'much' is no amount of memory"),
            ("[engine]\nspeed = 1", "unknown field `speed`"),
            ("[metrics]\nlisten = 9777", "socket address"),
            ("[metrics]\nlisten = \"localhost:9777\"", "invalid socket address"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", settings(text, &Args::default()).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
