//! What a kubelet makes of a pod: options of `ctr run`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use svclb_tests::lab::Node;

/// The image's entrypoint, which a pod's `args` follow.
const ENTRYPOINT: &str = "/usr/bin/svclb";

/// Where a container finds its ServiceAccount.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A pod on its way to a node.
pub(crate) struct Pod<'a> {
    spec: Value,
    node: &'a Node,
    /// Where the volumes that are no paths of the host have been made.
    volumes: BTreeMap<String, PathBuf>,
    /// The files of its ServiceAccount, and the address of the Service `kubernetes`.
    account: Option<(PathBuf, String)>,
}

impl<'a> Pod<'a> {
    /// The pod of a DaemonSet on `node`.
    ///
    /// # Errors
    /// It does not use the host's network, which is all that the lab's nodes have.
    pub(crate) fn of(daemon_set: &Value, node: &'a Node) -> Result<Self> {
        let spec = daemon_set["spec"]["template"]["spec"].clone();
        ensure!(spec["hostNetwork"] == true, "hostNetwork is {}", spec["hostNetwork"]);
        Ok(Self { spec, node, volumes: BTreeMap::new(), account: None })
    }

    /// Says where a volume is.
    pub(crate) fn volume(mut self, name: &str, folder: &Path) -> Self {
        self.volumes.insert(name.to_owned(), folder.to_owned());
        self
    }

    /// Gives every container the files of a ServiceAccount, and the address of the cluster's own
    /// Service in its environment, as a kubelet does.
    pub(crate) fn account(mut self, folder: &Path, kubernetes: &str) -> Self {
        self.account = Some((folder.to_owned(), kubernetes.to_owned()));
        self
    }

    /// The image, the options of `ctr run` and the command of a container.
    ///
    /// # Errors
    /// There is no such container, or it uses something that is not known here.
    pub(crate) fn container(&self, name: &str) -> Result<(String, Vec<String>, Vec<String>)> {
        let container = self.find(name)?;
        let mut options = security(&container["securityContext"])?;
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            options.extend(["--mount".to_owned(), self.mount(mount)?]);
        }
        let mut variables = self.environment(container)?;
        if let Some((folder, kubernetes)) = &self.account {
            let folder = folder.display();
            let mount = format!("type=bind,src={folder},dst={ACCOUNT},options=rbind:ro");
            options.extend(["--mount".to_owned(), mount]);
            variables.insert("KUBERNETES_SERVICE_HOST".to_owned(), kubernetes.clone());
            variables.insert("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned());
        }
        for (name, value) in &variables {
            options.extend(["--env".to_owned(), format!("{name}={value}")]);
        }
        let arguments = strings(&container["args"])?;
        let arguments = arguments.into_iter().map(|argument| expanded(argument, &variables));
        let command = [ENTRYPOINT.to_owned()].into_iter().chain(arguments).collect();
        Ok((text(&container["image"])?, options, command))
    }

    /// The port and path that a probe of a container asks on the node.
    ///
    /// # Errors
    /// There is no such container or probe.
    pub(crate) fn probe(&self, name: &str, probe: &str) -> Result<(u16, String)> {
        let container = self.find(name)?;
        let asked = &container[probe]["httpGet"];
        let ports = container["ports"].as_array().into_iter().flatten();
        let port = ports.into_iter().find(|port| port["name"] == asked["port"]);
        let port = port.and_then(|port| port["containerPort"].as_u64());
        let port = port.with_context(|| format!("{probe} asks {}", asked["port"]))?;
        Ok((port.try_into().context("a port")?, text(&asked["path"])?))
    }

    fn find(&self, name: &str) -> Result<&Value> {
        let mut all = self.spec["containers"].as_array().into_iter().flatten();
        let found = all.find(|container| container["name"] == name);
        found.with_context(|| format!("no container {name}"))
    }

    fn mount(&self, mount: &Value) -> Result<String> {
        let name = text(&mount["name"])?;
        let source = self.source(&name).with_context(|| format!("volume {name}"))?;
        let access = if mount["readOnly"] == true { "ro" } else { "rw" };
        let propagation = match mount["mountPropagation"].as_str() {
            None => "rprivate",
            Some("HostToContainer") => "rslave",
            Some(other) => bail!("mountPropagation {other}"),
        };
        Ok(format!(
            "type=bind,src={},dst={},options=rbind:{access}:{propagation}",
            source.display(),
            text(&mount["mountPath"])?
        ))
    }

    /// Where a volume is: the paths of the host that are different on each node are those of the
    /// lab's node.
    fn source(&self, name: &str) -> Result<PathBuf> {
        if let Some(made) = self.volumes.get(name) {
            return Ok(made.clone());
        }
        let all = self.spec["volumes"].as_array().into_iter().flatten();
        let volume = all.clone().find(|volume| volume["name"] == name);
        let path = volume.and_then(|volume| volume["hostPath"]["path"].as_str());
        match path.context("neither made nor a path of the host")? {
            "/sys/fs/bpf" => Ok(self.node.bpffs().to_owned()),
            "/sys/fs/cgroup" => Ok(self.node.cgroup().to_owned()),
            // No container runtime has named the lab's namespaces.
            "/run/netns" => {
                let empty = self.node.bpffs().with_file_name("netns");
                fs::create_dir_all(&empty).context("folder of network namespaces")?;
                Ok(empty)
            }
            other => bail!("{other} is not known on a lab's node"),
        }
    }

    fn environment(&self, container: &Value) -> Result<BTreeMap<String, String>> {
        let all = container["env"].as_array().into_iter().flatten();
        let value = |variable: &Value| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str()
        {
            Some("spec.nodeName") => Ok(self.node.name.clone()),
            Some(other) => bail!("fieldPath {other}"),
            None => text(&variable["value"]),
        };
        all.map(|variable| Ok((text(&variable["name"])?, value(variable)?))).collect()
    }
}

fn security(context: &Value) -> Result<Vec<String>> {
    let mut options = Vec::new();
    for (field, value) in context.as_object().into_iter().flatten() {
        match (field.as_str(), value) {
            ("privileged", Value::Bool(true)) => options.push("--privileged".to_owned()),
            ("readOnlyRootFilesystem", Value::Bool(true)) => options.push("--read-only".to_owned()),
            ("capabilities", sets) => options.extend(capabilities(sets)?),
            ("privileged", Value::Bool(false)) => {}
            // `ctr` has no profile unless it is told to.
            ("seccompProfile", profile) if profile["type"] == "Unconfined" => {}
            _ => bail!("securityContext.{field} = {value}"),
        }
    }
    Ok(options)
}

/// What a container starts with at containerd, and loses by `drop: [ALL]`.
const USUAL_CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

fn capabilities(sets: &Value) -> Result<Vec<String>> {
    ensure!(sets["drop"][0] == "ALL", "capabilities.drop = {}", sets["drop"]);
    let option = |option: &str, name: &str| [option.to_owned(), format!("CAP_{name}")];
    let dropped = USUAL_CAPABILITIES.iter().flat_map(|name| option("--cap-drop", name));
    let added = strings(&sets["add"])?;
    let added = added.iter().flat_map(|name| option("--cap-add", name));
    Ok(dropped.chain(added).collect())
}

/// `$(NAME)` becomes the variable's value.
fn expanded(mut argument: String, variables: &BTreeMap<String, String>) -> String {
    for (name, value) in variables {
        argument = argument.replace(&format!("$({name})"), value);
    }
    argument
}

fn strings(list: &Value) -> Result<Vec<String>> {
    list.as_array().into_iter().flatten().map(text).collect()
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} is no text"))
}
