import { Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { api } from "@/api/client";
import { queuesQuery } from "@/api/feedback";
import { Button } from "@/ui/Button";
import { Empty, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Scores.module.css";

interface AddToQueueProps {
  readonly projectId: string;
  readonly type: "TRACE" | "OBSERVATION" | "SESSION";
  readonly ids: readonly string[];
  readonly onClose: () => void;
}

/** Choose the annotation queue that some things go into. */
export function AddToQueue({ projectId, type, ids, onClose }: AddToQueueProps) {
  const queries = useQueryClient();
  const query = useQuery(queuesQuery(projectId));
  const add = useMutation({
    mutationFn: (queue: { queue_id: string; name: string }) =>
      api.post("/projects/{project_id}/queues/{queue_id}/items", {
        path: { project_id: projectId, queue_id: queue.queue_id },
        body: { objects: ids.map((id) => ({ type, id })) },
      }),
    onSuccess: async (done, queue) => {
      onClose();
      toast(`${done.count} ${done.count === 1 ? "item is" : "items are"} in ${queue.name}`, { tone: "ok" });
      await queries.invalidateQueries({ queryKey: [projectId, "queues"] });
      await queries.invalidateQueries({ queryKey: [projectId, "queue", queue.queue_id] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const noun = { TRACE: "trace", OBSERVATION: "span", SESSION: "session" }[type];
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Add ${ids.length} ${ids.length === 1 ? noun : `${noun}s`} to a queue`}
      size="sm"
    >
      {query.isPending ? <LoadingRows rows={3} /> : null}
      {query.data?.queues.length === 0 ? (
        <Empty
          title="No annotation queue yet"
          actions={
            <Link to="/project/$projectId/annotation" params={{ projectId }} search={{ new: "queue" }}>
              Create one
            </Link>
          }
        />
      ) : null}
      <div className={css.list}>
        {query.data?.queues.map((queue) => (
          <Button key={queue.queue_id} disabled={add.isPending} onClick={() => add.mutate(queue)}>
            <span className="ellipsis">{queue.name}</span>
            <span className="muted num">{queue.pending} pending</span>
          </Button>
        ))}
      </div>
    </Modal>
  );
}
