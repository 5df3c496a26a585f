import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { sessionQuery } from "@/api/queries";
import { skillsQuery } from "@/api/registries";
import type { SkillRow } from "@/api/types";
import { ListPage } from "@/app/ListPage";
import { useProjectId } from "@/app/url";
import { dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chip, ChipList } from "@/ui/Chip";
import type { Column } from "@/ui/DataTable";
import { useHotkeys } from "@/ui/hotkeys";
import { Snippet } from "@/ui/Snippet";
import { SkillEditor } from "./SkillEditor";

const id = (row: SkillRow) => row.name;

/** Skills that agents load by name. */
export function SkillsPage() {
  const projectId = useProjectId();
  const navigate = useNavigate();
  const [adding, setAdding] = useState(false);
  const query = useQuery(skillsQuery(projectId));
  useHotkeys([{ keys: "n", label: "New skill", group: "Skills", run: () => setAdding(true) }]);
  const columns = useMemo<Column<SkillRow>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 200,
        grow: 1,
        cell: (s) => (
          <Link to="/project/$projectId/skills/$name" params={{ projectId, name: s.name }}>
            {s.name}
          </Link>
        ),
      },
      {
        id: "description",
        label: "Description",
        width: 260,
        grow: 3,
        cell: (s) => (
          <span className="muted" title={s.description}>
            {s.description}
          </span>
        ),
      },
      {
        id: "version",
        label: "Newest version",
        width: 132,
        align: "right",
        cell: (s) => (
          <span>
            {s.status && s.status !== "active" ? <Chip>{s.status}</Chip> : null} {s.latest_version ?? "–"}
          </span>
        ),
      },
      {
        id: "production",
        label: "Production",
        width: 100,
        align: "right",
        cell: (s) => <span>{s.production ?? "–"}</span>,
      },
      { id: "files", label: "Files", width: 70, align: "right", cell: (s) => <span>{s.files}</span> },
      {
        id: "tags",
        label: "Tags",
        width: 150,
        cell: (s) => (
          <ChipList>
            {s.tags.map((tag) => (
              <Chip key={tag}>{tag}</Chip>
            ))}
            {Object.entries(s.properties).map(([key, value]) => (
              <Chip key={key} name={key}>
                {value}
              </Chip>
            ))}
          </ChipList>
        ),
      },
      { id: "updated", label: "Updated", width: 170, cell: (s) => <span>{dateTime(s.updated_ms)}</span> },
    ],
    [projectId],
  );
  return (
    <>
      <ListPage
        title="Skills"
        noun="skill"
        name="skills"
        query={query}
        all={query.data?.skills ?? []}
        columns={columns}
        rowId={id}
        text={(s) => [s.name, s.description, ...s.tags, ...Object.entries(s.properties).flat()].join("\n")}
        placeholder="Filter by name, description or tag"
        onOpen={(s) => void navigate({ to: "/project/$projectId/skills/$name", params: { projectId, name: s.name } })}
        lesson={<Lesson />}
        actions={
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setAdding(true)}>
            New skill
          </Button>
        }
      />
      {adding ? (
        <SkillEditor
          projectId={projectId}
          onClose={() => setAdding(false)}
          onMade={(name) => void navigate({ to: "/project/$projectId/skills/$name", params: { projectId, name } })}
        />
      ) : null}
    </>
  );
}

function Lesson() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const { base_url, keys } = session.data;
  const code = `# pip install langfuse
from pathlib import Path
from langfuse import Langfuse
from langfuse.api.unstable import SkillVersionFileInput

skills = Langfuse(
    base_url="${base_url}", public_key="${keys.public_key}", secret_key="${keys.secret_key}"
).api.unstable.skills

folder = Path("my-skill")  # holds SKILL.md, which names the skill
skills.create_version(
    files=[
        SkillVersionFileInput(path=str(file.relative_to(folder)), content=file.read_text())
        for file in folder.rglob("*")
        if file.is_file()
    ]
)
skills.set_labels("my-skill", 1, labels=["production"])
skills.get("my-skill", label="production")`;
  return (
    <Snippet title="Keep the skills of your agents" code={code}>
      A skill is a folder with a <code>SKILL.md</code>: what an agent should do, and the files it needs for that. Here
      every version is kept, and labels say which one agents load.
    </Snippet>
  );
}
