"""Skills through the client's unstable API."""

import json

from langfuse import Langfuse
from langfuse.api.core.api_error import ApiError
from langfuse.api.unstable import SkillVersionFileInput, SkillVersionFileReference

api = Langfuse(tracing_enabled=False).api.unstable.skills
SKILL = "---\nname: pdf-forms\ndescription: Fill PDF forms.\nlicense: MIT\n---\n# Forms\n"


def error(call):
    try:
        call()
    except ApiError as problem:
        return [problem.status_code, problem.body["code"]]
    return None


files = [
    SkillVersionFileInput(path="SKILL.md", content=SKILL),
    SkillVersionFileInput(path="scripts/fill.py", content="print('ä')"),
]
first = api.create_version(files=files, commit_message="first")
script = next(file for file in first.files if file.path == "scripts/fill.py")
second = api.create_version(
    files=[
        SkillVersionFileInput(path="SKILL.md", content=SKILL.replace("Fill", "Read and fill")),
        SkillVersionFileReference(path="lib/fill.py", sha256hash=script.sha256hash),
    ]
)
unlabelled = error(lambda: api.get("pdf-forms"))
labelled = api.set_labels("pdf-forms", 1, labels=["production", "staging"])
moved = api.set_labels("pdf-forms", 2, labels=["production"])
tagged = api.update("pdf-forms", tags=["pdf", "office"])
listed = api.list(search="READ AND", tag="pdf", limit=1)
hashes = ",".join(file.sha256hash for file in second.files)
outcome = {
    "first": [first.version, first.labels, first.frontmatter["license"], first.commit_message, first.description],
    "script": [script.content_length, script.content_type],
    "second": [second.version, second.labels, sorted(file.path for file in second.files)],
    "unlabelled": unlabelled,
    "labelled": sorted(labelled.labels),
    "moved": [sorted(moved.labels), api.get("pdf-forms").version, sorted(api.get("pdf-forms", version=1).labels)],
    "tagged": [tagged.version, tagged.tags, api.get("pdf-forms", version=1).tags],
    "listed": [[s.name, s.latest_version, s.production_version] for s in listed.data] + [listed.meta.has_next_page],
    "none": [len(api.list(search="absent").data), len(api.list(tag="absent").data)],
    "texts": [one.content for one in api.get_file_contents(sha256hashes=hashes).data][1],
    "no front matter": error(lambda: api.create_version(files=[SkillVersionFileInput(path="SKILL.md", content="# x")])),
    "no skill file": error(lambda: api.create_version(files=[SkillVersionFileInput(path="a.md", content="x")])),
    "leads out": error(lambda: api.create_version(files=[*files, SkillVersionFileInput(path="../x", content="x")])),
    "unknown hash": error(
        lambda: api.create_version(files=[files[0], SkillVersionFileReference(path="b", sha256hash="bm9uZQ==")])
    ),
}
api.delete_version("pdf-forms", 2)
outcome["latest again"] = api.get("pdf-forms", label="latest").version
outcome["kept"] = api.get_file_contents(sha256hashes=script.sha256hash).data[0].content
outcome["deleted"] = api.delete_version("pdf-forms", 1).deleted
outcome["gone"] = error(lambda: api.get_file_contents(sha256hashes=script.sha256hash))
third = api.create_version(files=files)
outcome["starts again"] = third.version
print(json.dumps(outcome))
