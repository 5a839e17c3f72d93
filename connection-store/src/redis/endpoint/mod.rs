//! Where Redis is: the URL in the settings, read once and strictly.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use thiserror::Error;

/// How the servers behind a URL belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// One server, or an address that always leads to the master.
    Standalone,
    /// Sentinels, which say who is master.
    Sentinel,
    /// Masters that share the keys by slot.
    Cluster,
}

/// Where Redis is and how to log in. Neither `Debug` nor `Display` shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(super) topology: Topology,
    /// The server, the sentinels, or any servers of the cluster.
    pub(super) hosts: Vec<(String, u16)>,
    /// The name by which sentinels know the master; empty elsewhere.
    pub(super) master: String,
    pub(super) login: Login,
    /// For the sentinels themselves.
    pub(super) sentinel_login: Login,
    pub(super) database: i64,
    pub(super) tls: Option<TlsFiles>,
}

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// PEM files that change whom to trust and who to be; the system's authorities and nobody without them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) authority: Option<PathBuf>,
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// A URL that names no Redis, or a file of it that cannot be used. Says how to mend it, and never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidRedisUrl(pub(super) String);

const FORMS: &str = "redis://[user:password@]host[:6379][/database], rediss:// for TLS, \
    redis+sentinel://[user:password@]host:26379,host:26379/master-name[/database] or \
    redis+cluster://[user:password@]host:6379,host:6379";

impl RedisUrl {
    /// How the servers belong together.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    fn scheme(&self) -> &'static str {
        match (self.topology, self.tls.is_some()) {
            (Topology::Standalone, false) => "redis",
            (Topology::Standalone, true) => "rediss",
            (Topology::Sentinel, _) => "redis+sentinel",
            (Topology::Cluster, _) => "redis+cluster",
        }
    }

    fn standard_port(&self) -> u16 {
        if self.topology == Topology::Sentinel {
            26379
        } else {
            6379
        }
    }

    fn read_hosts(&mut self, text: &str) -> Result<(), String> {
        for host in text.split(',') {
            self.hosts.push(read_host(host, self.standard_port())?);
        }
        if self.topology == Topology::Standalone && self.hosts.len() > 1 {
            return Err(format!(
                "{}:// takes one host; several belong to redis+sentinel:// or redis+cluster://",
                self.scheme()
            ));
        }
        Ok(())
    }

    fn read_path(&mut self, path: &str) -> Result<(), String> {
        let mut parts = path.split('/');
        let first = parts.next().filter(|part| !part.is_empty());
        let database = match self.topology {
            Topology::Cluster => {
                let why = "a cluster has only database 0: leave out what follows the hosts";
                return first.map_or(Ok(()), |_| Err(why.to_owned()));
            }
            Topology::Standalone => first,
            Topology::Sentinel => {
                let name = first.ok_or(
                    "the master's name is missing: write it after the hosts, as in \
                     redis+sentinel://host:26379/mymaster",
                )?;
                self.master = decoded(name)?;
                parts.next().filter(|part| !part.is_empty())
            }
        };
        if let Some(database) = database {
            self.database = (database.parse())
                .ok()
                .filter(|number| (0..=65_535).contains(number))
                .ok_or_else(|| format!("{database:?} is not the number of a database, as 0"))?;
        }
        match parts.next() {
            Some(rest) if !rest.is_empty() => Err(format!("nothing is known of {rest:?} in it")),
            _ => Ok(()),
        }
    }

    fn read_option(&mut self, name: &str, value: &str) -> Result<(), String> {
        let value = decoded(value)?;
        let sentinel = self.topology == Topology::Sentinel;
        let standalone = self.topology == Topology::Standalone;
        match name {
            "tls" if standalone => {
                return Err("TLS is asked for by rediss://, not by ?tls".to_owned());
            }
            "tls" => match value.as_str() {
                "true" => _ = self.tls.get_or_insert_default(),
                "false" => {}
                _ => return Err("tls is true or false".to_owned()),
            },
            "ca" | "cert" | "key" => {
                let Some(files) = &mut self.tls else {
                    let how = if standalone {
                        "rediss://"
                    } else {
                        "tls=true before it"
                    };
                    return Err(format!("{name} needs TLS: write {how}"));
                };
                let file = match name {
                    "ca" => &mut files.authority,
                    "cert" => &mut files.certificate,
                    _ => &mut files.key,
                };
                *file = Some(value.into());
            }
            "sentinelUser" if sentinel => self.sentinel_login.user = Some(value),
            "sentinelPassword" if sentinel => self.sentinel_login.password = Some(value),
            _ => {
                let known = "tls, ca, cert, key, sentinelUser and sentinelPassword";
                return Err(format!("it has no option {name:?}; there are {known}"));
            }
        }
        Ok(())
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidRedisUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRedisUrl> {
        let because = |why: String| {
            InvalidRedisUrl(format!(
                "the store's URL cannot be used: {why} (forms: {FORMS})"
            ))
        };
        read(text).map_err(because)
    }
}

fn read(text: &str) -> Result<RedisUrl, String> {
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("it does not begin with a scheme")?;
    let (topology, tls) = match scheme {
        "redis" | "valkey" => (Topology::Standalone, None),
        "rediss" | "valkeys" => (Topology::Standalone, Some(TlsFiles::default())),
        "redis+sentinel" | "valkey+sentinel" => (Topology::Sentinel, None),
        "redis+cluster" | "valkey+cluster" => (Topology::Cluster, None),
        _ => return Err(format!("nothing is known of the scheme {scheme:?}")),
    };
    let mut url = RedisUrl {
        topology,
        hosts: Vec::new(),
        master: String::new(),
        login: Login::default(),
        sentinel_login: Login::default(),
        database: 0,
        tls,
    };
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    if options.contains('@') {
        return Err("a ? in a user or password is written %3F".to_owned());
    }
    // A password may hold anything but these when it is not percent-encoded; the last @ ends it.
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (Some(login), rest),
        None => (None, rest),
    };
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    if let Some(login) = login {
        url.login = read_login(login)?;
    }
    url.read_hosts(hosts)?;
    url.read_path(path)?;
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option
            .split_once('=')
            .ok_or("each option after the ? is written name=value")?;
        url.read_option(name, value)?;
    }
    if let Some(files) = &url.tls
        && files.certificate.is_some() != files.key.is_some()
    {
        return Err("cert and key go together".to_owned());
    }
    Ok(url)
}

fn read_login(text: &str) -> Result<Login, String> {
    if text.contains(['/', '?', '#']) {
        return Err("a / ? or # in a user or password is written %2F, %3F or %23".to_owned());
    }
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let known = |part: &str| decoded(part).map(|part| Some(part).filter(|part| !part.is_empty()));
    let login = Login {
        user: known(user)?,
        password: known(password)?,
    };
    if login.password.is_none() {
        return Err(
            "it names a user but no password: write user:password@, or :password@ for the default user"
                .to_owned(),
        );
    }
    Ok(login)
}

fn read_host(text: &str, standard_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest
                .split_once(']')
                .ok_or("an IPv6 address stands between [ and ]")?;
            (host, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err("a host is missing".to_owned());
    }
    let port = match port {
        None => standard_port,
        Some(port) => (port.parse().ok().filter(|port| *port != 0))
            .ok_or_else(|| format!("the port of {host} is not a number from 1 to 65535"))?,
    };
    Ok((host.to_owned(), port))
}

/// Never repeats its input: it may be a password.
fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| "what is percent-encoded in it is not UTF-8".to_owned())
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        if self.login != Login::default() {
            write!(f, "{}:***@", self.login.user.as_deref().unwrap_or(""))?;
        }
        for (n, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            if host.contains(':') {
                write!(f, "{comma}[{host}]:{port}")?;
            } else {
                write!(f, "{comma}{host}:{port}")?;
            }
        }
        if self.topology == Topology::Sentinel {
            write!(f, "/{}", self.master)?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests;
