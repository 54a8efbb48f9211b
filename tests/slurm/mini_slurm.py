"""A real Slurm of two compute nodes on one machine, for tests: three network namespaces with a switch between them.

Needs root and `apt-get install slurm-wlm munge iproute2`; no systemd, and nothing is left behind, even where the tests
are killed. Names: `ctl` runs the controller, `h1` and `h2` have two cores each. Partition `high` takes nodes from
`low`, which is the default, with 20 seconds of grace. What is not there: accounting (`sacct`), GPUs, limits by cgroups.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

HOSTS = {"ctl": 1, "h1": 2, "h2": 3}
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip", "nsenter", "unshare")

CONF = """
ClusterName=mini
# Two clusters at once would share the cgroups of jobs of the same number.
FirstJobId={first_job}
SlurmctldHost=ctl({net}.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for its old credential to expire: 120 s by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldTimeout=10
SlurmdTimeout=10
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=5
NodeName=h1 NodeAddr={net}.2 CPUs=2 RealMemory=2000 State=UNKNOWN
NodeName=h2 NodeAddr={net}.3 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=low  Nodes=h1,h2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1  PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes=h1,h2 Default=NO  MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing():
    """Why no Slurm can be started here, or an empty string."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if absent:
        return f"{', '.join(absent)} not found (on Debian: apt-get install slurm-wlm munge iproute2)"
    if os.geteuid() != 0:
        return "needs root"
    probe = subprocess.run(["ip", "netns", "add", f"probe{os.getpid()}"], capture_output=True, check=False)
    if probe.returncode:
        return "network namespaces can't be made here"
    subprocess.run(["ip", "netns", "del", f"probe{os.getpid()}"], check=False)
    return ""


# A new cluster is known to run jobs before a test gets it.
TRIAL = ("--parsable", "-N2", "-o", "/dev/null", "--wrap", "srun true")

# Waits until the tests end, in whatever way, and ends what is left in the namespaces.
REAPER = """
cat > /dev/null
folder=$1
shift
for name in "$@"; do
  ip netns pids "$name" | xargs -r kill -9
  ip netns del "$name"
done
rm -rf "$folder"
"""


def remove_leftovers():
    """End the clusters of test processes that are no more."""
    for namespace in Path("/run/netns").glob("mmdl*-*"):
        owner = re.fullmatch(r"mmdl(\d+)[lc]-\w+", namespace.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            subprocess.run(
                ["sh", "-c", REAPER, "reaper", "", namespace.name], stdin=subprocess.DEVNULL, check=False
            )


class MiniSlurm:
    """One cluster; a context manager that starts and stops it.

    Args:
        proctrack: `linuxproc` (a signal reaches every process of a step) or `cgroup` (the tasks only).
    """

    def __init__(self, proctrack):
        self.folder = None
        self.proctrack = proctrack
        self.prefix = f"mmdl{os.getpid()}{proctrack[0]}"
        self.net = "198.51.100"
        self.daemons = {}
        self.failed_launches = Counter()
        self.reaper = None

    def host(self, name):
        return f"{self.prefix}-{name}"

    def _ip(self, *words, inside=None):
        subprocess.run(["ip", *(["-n", self.host(inside)] if inside else []), *words], check=True)

    def words(self, host, *words):
        """Words that run a command as on a host. `ip netns exec` would hide /sys/fs/cgroup."""
        namespace = f"--net=/run/netns/{self.host(host)}"
        entered = ["nsenter", namespace, "unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host]
        return [*entered, *words]

    def _start(self, name, *words):
        log = (self.folder / f"{name}.out").open("wb")
        self.daemons[name] = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def _wait(self, what, *words, contains=""):
        for _ in range(200):
            done = subprocess.run(words, capture_output=True, text=True, env=self.environment, check=False)
            if done.returncode == 0 and contains in done.stdout:
                return
            time.sleep(0.1)
        raise TimeoutError(f"{what}: {done.stdout}{done.stderr}")

    @property
    def environment(self):
        path = f"{os.environ['PATH']}:/usr/sbin"
        return os.environ | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": path}

    def __enter__(self):
        """Start; a cluster that does not run a job is given up, and another tried."""
        for _ in range(2):
            try:
                return self._up()
            except TimeoutError:
                continue
        return self._up()

    def _up(self):
        # Not in the folder of a test: a Unix socket's path has at most 107 characters, of which a name like
        # h1_12345678.4294967291 takes many; where it is longer, every launch of a job fails without a word of it.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        (self.folder / "slurm.conf").write_text(
            CONF.format(
                folder=self.folder,
                net=self.net,
                proctrack=self.proctrack,
                first_job=os.getpid() % 50_000 * 1000 + (500 if self.proctrack == "cgroup" else 1),
            )
        )
        version = "v1" if Path("/sys/fs/cgroup/freezer").exists() else "v2"
        (self.folder / "cgroup.conf").write_text(
            f"CgroupPlugin=cgroup/{version}\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"
        )
        remove_leftovers()
        names = [self.host(name) for name in (*HOSTS, "switch")]
        self.reaper = subprocess.Popen(
            ["sh", "-c", REAPER, "reaper", str(self.folder), *names],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._network()
            self._daemons()
            self.wait_for(self.run("sbatch", *TRIAL).strip(), ("COMPLETED",), seconds=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _network(self):
        self._ip("netns", "add", self.host("switch"))
        self._ip("link", "add", "br0", "type", "bridge", inside="switch")
        self._ip("link", "set", "br0", "up", inside="switch")
        for name, number in HOSTS.items():
            self._ip("netns", "add", self.host(name))
            ends = ("link", "add", "eth0", "type", "veth", "peer", "name", f"to-{name}")
            self._ip(*ends, "netns", self.host("switch"), inside=name)
            self._ip("link", "set", f"to-{name}", "master", "br0", "up", inside="switch")
            self._ip("addr", "add", f"{self.net}.{number}/24", "dev", "eth0", inside=name)
            for device in ("eth0", "lo"):
                self._ip("link", "set", device, "up", inside=name)

    def _daemons(self):
        folder = self.folder
        self._start(
            *(
                "munged",
                *self.words("ctl"),
                "munged",
                "--force",
                "--foreground",
                f"--key-file={folder}/munge.key",
            ),
            *(f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid"),
            *(f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"),
        )
        self._wait("munge", "munge", "-S", f"{folder}/munge.socket", "-n")
        conf = f"{folder}/slurm.conf"
        self._start("slurmctld", *self.words("ctl"), "/usr/sbin/slurmctld", "-D", "-f", conf)
        self._wait("the controller", *self.words("ctl"), "scontrol", "ping", contains="UP")
        for name in ("h1", "h2"):
            self._slurmd(name)
        self.wait_for_idle_nodes()

    def _slurmd(self, name):
        conf = f"{self.folder}/slurm.conf"
        self._start(f"slurmd-{name}", *self.words(name), "/usr/sbin/slurmd", "-D", "-N", name, "-f", conf)

    def wait_for_idle_nodes(self):
        """Wait until both nodes take jobs."""
        idle = ("sinfo", "-h", "-p", "low", "-t", "idle", "-o", "%D")
        self._wait("two idle nodes", *self.words("ctl"), *idle, contains="2")

    def lose(self, name):
        """Let a node die: its network first, then all that runs on it."""
        self._ip("link", "set", f"to-{name}", "down", inside="switch")
        pids = subprocess.run(
            ["ip", "netns", "pids", self.host(name)], capture_output=True, text=True, check=True
        )
        for pid in pids.stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        self.daemons.pop(f"slurmd-{name}").wait()

    def restore(self, name):
        """Start a node again that was lost."""
        self._ip("link", "set", f"to-{name}", "up", inside="switch")
        self._slurmd(name)

    def __exit__(self, *exception):
        subprocess.run(
            [*self.words("ctl"), "scancel", "-f", "-u", "root"], env=self.environment, check=False, timeout=60
        )
        for daemon in reversed(self.daemons.values()):
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(daemon.pid, number)
                    daemon.wait(timeout=10)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        self.daemons.clear()
        self.reaper.stdin.close()
        self.reaper.wait(timeout=60)

    def run(self, *words, cwd=None, env=None, check=True):
        """Run a command on the controller's host and return what it wrote to stdout."""
        done = subprocess.run(
            [*self.words("ctl"), *words],
            cwd=cwd,
            env=self.environment | (env or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def job(self, number):
        """Facts about a job, such as `JobState` and `Restarts`.

        Now and then a node fails to launch a job at all: Slurm holds the job, which is released and not counted,
        and may take no more jobs on that node, which is resumed.
        """
        words = self.run("scontrol", "show", "job", str(number)).split()
        facts = dict(word.split("=", 1) for word in words if "=" in word)
        if facts.get("Reason") == "launch_failed_requeued_held":
            self.failed_launches[str(number)] += 1
            self.run("scontrol", "release", str(number))
        if facts.get("JobState") == "PENDING":
            drained = self.run("sinfo", "-h", "-N", "-p", "low", "-t", "drain", "-o", "%N").split()
            for name in drained:
                self.run("scontrol", "update", f"nodename={name}", "state=resume")
        if "Restarts" in facts:
            facts["Restarts"] = str(int(facts["Restarts"]) - self.failed_launches[str(number)])
        return facts

    def wait_for(self, number, states, seconds=300):
        """Wait until a job is in one of some states; returns its facts."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            facts = self.job(number)
            if facts["JobState"] in states:
                return facts
            time.sleep(0.3)
        logs = "".join(
            path.read_text(errors="replace")[-3000:] for path in sorted(self.folder.glob("slurm*.out"))
        )
        nodes = self.run("sinfo", "-N", "-o", "%N %T %E")
        raise TimeoutError(
            f"job {number} is {facts['JobState']} ({facts.get('Reason')}) after {seconds} s\n{nodes}{logs}"
        )
