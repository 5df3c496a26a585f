import { useMutation, useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { datasetHistoryQuery } from "@/api/queries";
import type { DatasetItemRow } from "@/api/types";
import { dateTime } from "@/base/format";
import { Button, IconButton } from "@/ui/Button";
import { TextArea } from "@/ui/Field";
import { toast } from "@/ui/toast";
import css from "./Datasets.module.css";
import { parsed, pretty } from "./values";

interface ItemEditorProps {
  readonly projectId: string;
  readonly datasetId: string;
  /** None: a new item. */
  readonly item: DatasetItemRow | null;
  readonly readOnly: boolean;
  readonly onClose: () => void;
  readonly onSaved: (id: string | undefined) => void;
}

const FIELDS = [
  { key: "input", label: "Input" },
  { key: "expected_output", label: "Expected output" },
  { key: "metadata", label: "Metadata" },
] as const;

/** An item's parts as JSON (anything that is no JSON is a text), its states, and what the dataset's schema says. */
export function ItemEditor({ projectId, datasetId, item, readOnly, onClose, onSaved }: ItemEditorProps) {
  const [texts, setTexts] = useState(() => ({
    input: pretty(item?.input),
    expected_output: pretty(item?.expected_output),
    metadata: pretty(item?.metadata),
  }));
  const history = useQuery(datasetHistoryQuery(projectId, datasetId, item?.id ?? null));
  const path = { project_id: projectId, dataset_id: datasetId };
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/datasets/{dataset_id}/items", {
        path,
        body: {
          id: item?.id ?? null,
          input: parsed(texts.input),
          expected_output: parsed(texts.expected_output),
          metadata: parsed(texts.metadata),
        },
      }),
    onSuccess: (saved) => {
      toast("Item saved", { tone: "ok" });
      onSaved(saved.id);
    },
  });
  const remove = useMutation({
    mutationFn: () =>
      api.delete("/projects/{project_id}/datasets/{dataset_id}/items/{item_id}", {
        path: { ...path, item_id: item?.id ?? "" },
      }),
    onSuccess: () => {
      toast("Item deleted; earlier versions still show it", { tone: "ok" });
      onSaved(undefined);
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <aside className={css.editor} aria-label={item ? `Item ${item.id}` : "New item"}>
      <div className={css.editorHead}>
        <h2 className="ellipsis">{item ? item.id : "New item"}</h2>
        <IconButton label="Close" onClick={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          save.mutate();
        }}
      >
        {FIELDS.map(({ key, label }) => (
          <label key={key} className={css.field}>
            <span>{label}</span>
            <TextArea
              className={css.area}
              rows={key === "metadata" ? 4 : 8}
              spellCheck={false}
              readOnly={readOnly}
              value={texts[key]}
              onChange={(event) => {
                const value = event.currentTarget.value;
                setTexts((before) => ({ ...before, [key]: value }));
              }}
            />
          </label>
        ))}
        {save.isError ? (
          <div role="alert" className={css.error}>
            {save.error.message}
          </div>
        ) : null}
        {readOnly ? (
          <p className="muted">An earlier version. Choose “Now” to change the item.</p>
        ) : (
          <div className={css.buttons}>
            <Button look="primary" type="submit" disabled={save.isPending}>
              Save
            </Button>
            {item ? (
              <Button look="danger" onClick={() => remove.mutate()} disabled={remove.isPending}>
                Delete
              </Button>
            ) : null}
          </div>
        )}
      </form>
      {item && history.data ? (
        <section className={css.history} aria-label="History">
          <h3>History</h3>
          <ol>
            {history.data.items.map((state) => (
              <li key={state.valid_from_ms}>
                <button
                  type="button"
                  disabled={readOnly}
                  onClick={() =>
                    setTexts({
                      input: pretty(state.input),
                      expected_output: pretty(state.expected_output),
                      metadata: pretty(state.metadata),
                    })
                  }
                >
                  {dateTime(state.valid_from_ms, true)}
                </button>
                {state.status === "ARCHIVED" ? <span className="muted"> archived</span> : null}
              </li>
            ))}
          </ol>
        </section>
      ) : null}
    </aside>
  );
}
