"""Builds the stages of a Dockerfile as folder trees with debootstrap and chroot, where no Docker engine is at hand.

Package mirror, pip settings and certificates come from the host (or MIRROR); mounts live in a mount namespace of each
step, so none is left behind. Needs root.
"""

import json
import os
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from docker.dockerfile_steps import context_files, expand, options
from dsrg.io.errors import UserError

PASSED_ON = ("http_proxy", "https_proxy", "no_proxy")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/host-certificates.pem"
LOG = "debootstrap.log"


def host_sources(suite):
    """apt lines of the host for a Debian release and its updates: "deb URI suite component"."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    kept = sorted({line for line in lines if line.split()[1].partition("-")[0] == suite and line.endswith(" main")})
    return [f"deb {line}" for line in kept]


def mirror(suite):
    """Address of a Debian mirror: MIRROR, else what the host's apt uses for this release."""
    if os.environ.get("MIRROR"):
        return os.environ["MIRROR"]
    for line in host_sources(suite):
        _, uri, release, _ = line.split()
        if release == suite:
            return uri
    raise UserError(f"the host's apt knows no mirror of Debian {suite}; give one: MIRROR=...")


def pip_settings():
    """The host's pip settings (files and environment) as a pip.conf, and the host's paths that it names."""
    lines = subprocess.run(["python3", "-m", "pip", "config", "list"], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    settings, paths = {}, set()
    for line in lines:
        name, _, value = line.partition("=")
        value = shlex.split(value)[0] if value else ""
        name = name.rpartition(".")[2].strip(":")
        if name == "cert":
            continue
        settings[name] = value
        for word in value.split():
            path = word.removeprefix("file://")
            if path.startswith("/") and os.path.exists(path):
                # an index in a folder may lead to files beside it
                paths.add(os.path.dirname(path) if word != path and path.count("/") > 2 else path)
    if _host_certificates():
        settings["cert"] = CERTIFICATES
    text = "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
    return text, _outermost(paths)


def _host_certificates():
    path = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    return path if path.is_file() else None


def _outermost(paths):
    """Paths without those that lie below another of them."""
    return [p for p in sorted(paths) if not any(str(q) != p and p.startswith(f"{q}/") for q in paths)]


@dataclass
class Tree:
    """A stage as a folder: what Docker would have as layers and settings."""

    root: Path
    environment: dict = field(default_factory=dict)
    arguments: dict = field(default_factory=dict)
    folder: str = "/"
    user: str = "root"
    shell: tuple = ("/bin/sh", "-c")
    command: list = field(default_factory=list)
    entrypoint: list = field(default_factory=list)

    def run(self, command):
        """Run a shell text as a RUN step would; seconds. Output goes to ours; UserError when it fails."""
        started = time.monotonic()
        self._execute([*self.shell, command], self.arguments)
        return time.monotonic() - started

    def start(self, *arguments, **variables):
        """Run the image as `docker run IMAGE arguments` would; seconds."""
        command = [*self.entrypoint, *(arguments or self.command)]
        started = time.monotonic()
        self._execute(command, variables)
        return time.monotonic() - started

    def _execute(self, command, variables):
        text, binds = pip_settings()
        (self.root / "etc/pip.conf").write_text(text)
        if _host_certificates():
            shutil.copy(_host_certificates(), self.root / CERTIFICATES.lstrip("/"))
        environment = {"PATH": SYSTEM_PATH, "HOME": self._home(), "PIP_CONFIG_FILE": "/etc/pip.conf",
                       **{k: os.environ[k] for k in PASSED_ON if k in os.environ}, **self.environment, **variables}
        inside = ["cd " + shlex.quote(self.folder), "exec " + shlex.join(command)]
        script = [
            "set -e",
            shlex.join(["mount", "--rbind", "/dev", f"{self.root}/dev"]),
            shlex.join(["mount", "-t", "proc", "proc", f"{self.root}/proc"]),
            *(self._bind(path) for path in binds),
            shlex.join(["exec", "chroot", f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i",
                        *(f"{k}={v}" for k, v in environment.items()), "/bin/sh", "-ec", "\n".join(inside)]),
        ]
        done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script)],
                              check=False)
        if done.returncode:
            raise UserError(f"status {done.returncode} of: {shlex.join(command)} (tree {self.root})")

    def _bind(self, path):
        inside = self.root / path.lstrip("/")
        if os.path.isdir(path):
            inside.mkdir(parents=True, exist_ok=True)
        else:
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        return f"mount --bind -o ro {shlex.quote(path)} {shlex.quote(str(inside))}"

    def _home(self):
        for line in (self.root / "etc/passwd").read_text().splitlines():
            words = line.split(":")
            if words[0] == self.user:
                return words[5]
        return "/"

    def path(self, name):
        """Where a path of the image (relative to WORKDIR) lies on the host."""
        return self.root / os.path.normpath(os.path.join(self.folder, name)).lstrip("/")


class Builder:
    """Builds stages below one folder.

    Parameters
    ----------
    folder : Path
        Trees are made in it, one per stage.
    context : Path
        What `docker build` is given.
    rules : list
        Of its .dockerignore (`dockerfile_steps.ignore_rules`).
    arguments : dict
        As --build-arg.
    reuse : bool
        Take the trees of `folder` as built, and only follow the settings of their stages.

    Attributes
    ----------
    times : list of (stage, step text, seconds)
    """

    def __init__(self, folder, context, rules, arguments=(), reuse=False):
        self._folder, self._context, self._rules, self._reuse = folder, context, rules, reuse
        self._arguments, self._trees, self.times = dict(arguments), {}, []

    def build(self, stage):
        """Build a stage whose base is built, or a Debian release; its Tree."""
        root = self._folder / stage.name
        if stage.base in self._trees:
            base = self._trees[stage.base]
            if not self._reuse:
                subprocess.run(["cp", "-a", "--reflink=auto", base.root, root], check=True)
            tree = Tree(root, dict(base.environment), dict(base.arguments), base.folder, base.user, base.shell)
        else:
            tree = Tree(root)
            if not self._reuse:
                self._debian(stage.base, root)
        for step in stage.steps:
            self._do(stage, step, tree)
        self._trees[stage.name] = tree
        return tree

    def _debian(self, image, root):
        """The tree of debian:<suite>-..., from the host's mirror instead of an image."""
        name, _, tag = image.partition(":")
        if name != "debian":
            raise UserError(f"FROM {image}: only debian:<suite>-<date>-slim can be made with debootstrap")
        suite, started = tag.partition("-")[0], time.monotonic()
        with open(self._folder / LOG, "w") as log:
            done = subprocess.run(["debootstrap", "--variant=minbase", suite, root, mirror(suite)], stdout=log,
                                  stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            raise UserError(f"debootstrap failed; see {self._folder / LOG} (--keep leaves it there)")
        sources = host_sources(suite) or [f"deb {mirror(suite)} {suite} main"]
        (root / "etc/apt/sources.list").write_text("\n".join(sources) + "\n")
        for name in ("resolv.conf", "hosts"):
            if Path("/etc", name).exists():
                shutil.copy(Path("/etc", name), root / "etc" / name)
        self._note(image, f"FROM {image} (debootstrap)", time.monotonic() - started)

    def _do(self, stage, step, tree):
        text, known = step.text, {**tree.arguments, **tree.environment}
        if step.keyword in ("RUN", "COPY") and self._reuse:
            return
        if step.keyword == "RUN":
            self._note(stage.name, f"RUN {text}", tree.run(text))
        elif step.keyword == "COPY":
            started = time.monotonic()
            self._copy(expand(text, known), tree)
            self._note(stage.name, f"COPY {text}", time.monotonic() - started)
        elif step.keyword == "ARG":
            name, _, default = text.partition("=")
            tree.arguments[name] = self._arguments.get(name, default)
        elif step.keyword == "ENV":
            tree.environment |= dict(word.split("=", 1) for word in shlex.split(expand(text, known)))
        elif step.keyword == "WORKDIR":
            tree.folder = os.path.join(tree.folder, expand(text, known))
            tree.path(".").mkdir(parents=True, exist_ok=True)
        elif step.keyword == "USER":
            tree.user = expand(text, known)
        elif step.keyword == "SHELL":
            tree.shell = tuple(_json_words(text))
        elif step.keyword in ("CMD", "ENTRYPOINT"):
            setattr(tree, "command" if step.keyword == "CMD" else "entrypoint", _json_words(text))
        elif step.keyword != "LABEL":
            raise UserError(f"line {step.line}: {step.keyword} is not understood here")

    def _copy(self, text, tree):
        given, (*sources, target) = options(text)
        if "from" in given:
            made = _copy_tree(self._trees[given["from"]].path(sources[0]), tree.path(target))
        else:
            made = [path for source in sources for path in self._copy_from_context(source, target, tree)]
        if "chown" in given:
            names = "\0".join("/" + os.path.relpath(path, tree.root) for path in made)
            done = subprocess.run(["xargs", "-0", "chroot", tree.root, "chown", "-h", given["chown"]], input=names,
                                  text=True, check=False)
            if done.returncode:
                raise UserError(f"COPY {text}: chown failed")

    def _copy_from_context(self, source, target, tree):
        """Copy a file, or what a folder holds; the paths made, folders among them."""
        prefix = "" if source == "." else source.rstrip("/") + "/"
        files = [f for f in context_files(self._context, self._rules) if f == source or f.startswith(prefix)]
        if not files:
            raise UserError(f"COPY {source}: not in the build context (see .dockerignore)")
        made = []
        for name in files:
            destination = tree.path(target)
            if name != source:
                destination /= name.removeprefix(prefix)
            elif target.endswith("/") or destination.is_dir():
                destination /= Path(name).name
            new = [p for p in destination.parents if not p.exists()]
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._context / name, destination)
            made += [*new, destination]
        return made

    def _note(self, stage, text, seconds):
        self.times.append((stage, " ".join(text.split()), seconds))
        print(f"== {stage}: {text[:100]}: {seconds:.1f} s", flush=True)


def _copy_tree(source, destination):
    """Copy a file or folder from another stage; the paths made."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "-T", "--reflink=auto", source, destination], check=True)
    return [destination, *destination.rglob("*")]


def _json_words(text):
    """The words of an exec form, ["a", "b"]."""
    try:
        words = json.loads(text)
    except json.JSONDecodeError:
        raise UserError(f"expected the exec form [\"..\"], got {text}") from None
    return words
