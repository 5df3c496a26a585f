import { Modal } from "@mantine/core";
import { useState } from "react";
import { keyCaps } from "@/base/hotkeys";
import { hotkeys, isApple } from "@/ui/hotkeys";
import css from "./CheatSheet.module.css";

/** Every shortcut that works here and now: read from the registry, so the list cannot lie. */
export function CheatSheet({ onClose }: { readonly onClose: () => void }) {
  const [keys] = useState(() => hotkeys.list());
  const groups = new Map<string, typeof keys>();
  for (const key of keys) groups.set(key.group ?? "Here", [...(groups.get(key.group ?? "Here") ?? []), key]);
  return (
    <Modal opened onClose={onClose} title="Keyboard shortcuts" size="lg">
      <div className={css.groups}>
        {[...groups].map(([name, items]) => (
          <section key={name} className={css.group}>
            <h3>{name}</h3>
            <dl>
              {items.map((item) => (
                <div key={item.keys} className={css.line}>
                  <dt>{item.label}</dt>
                  <dd>
                    {keyCaps(item.keys, isApple).map((cap, i) => (
                      <kbd key={i}>{cap}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
