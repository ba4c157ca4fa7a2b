// A floor's image: uploaded for a floor that is there, or for a new one.

import { useState } from 'preact/hooks';
import { Problem } from '../../api';
import { type FloorMap, loadPlaces, site } from '../../state';
import { strings } from '../../strings';
import { Fault } from '../../ui/ask';
import { Dialog } from '../../ui/dialog';
import { Ends, Field, useAct } from '../../ui/form';
import { setParams } from '../../url';
import { floorBody, saveFloor, saveImage, sizeOf } from './upload';

const words = strings.zones.image;

const ACCEPTED = 'image/png,image/jpeg,image/svg+xml';

const millimetres = (metres: number) => Math.round(metres * 1000) / 1000;

/// `onDone` hears when the floor has its image, so that its scale can be set.
export function ImageDialog({ floor, onClose, onDone }: { floor: FloorMap; onClose: () => void; onDone: () => void }) {
  const act = useAct();
  const [image, setImage] = useState<File | undefined>();
  const upload = async () => {
    if (!image) return;
    const { width, height } = await sizeOf(image);
    // The floor stays as wide as it was; its height follows the image.
    const width_m = floor.width_m ?? width / 20;
    const ppm = width / width_m;
    await saveImage(floor.map_id, image);
    await saveFloor(floor.map_id, floorBody(floor, { width_m: millimetres(width_m), height_m: millimetres(height / ppm), ppm }));
    await loadPlaces();
    onDone();
  };
  return (
    <Dialog title={words.title} onClose={onClose}>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(upload).then((isDone) => isDone && onClose()))}>
        <p class="quiet">{words.explained}</p>
        <Field label={words.file}>
          <input type="file" required accept={ACCEPTED} onChange={(event) => setImage(event.currentTarget.files?.[0])} />
        </Field>
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={words.upload} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}

/// A floor that is not there yet; `mapId` is the network's id of it, where events have named it.
export function FloorDialog({ mapId, onClose }: { mapId?: string; onClose: () => void }) {
  const act = useAct();
  const [id, setId] = useState(mapId ?? '');
  const [name, setName] = useState('');
  const [width_m, setWidth] = useState(50);
  const [image, setImage] = useState<File | undefined>();
  const add = async () => {
    const size = image && (await sizeOf(image));
    const map_id = id.trim() || crypto.randomUUID();
    const height_m = size ? millimetres((width_m * size.height) / size.width) : millimetres(width_m * 0.6);
    const added = await saveFloor(map_id, { site_id: site.value?.site_id, name: name.trim(), width_m, height_m, ppm: size ? size.width / width_m : undefined });
    if (image) await saveImage(added.map_id, image);
    await loadPlaces();
    setParams({ map: added.map_id });
  };
  return (
    <Dialog title={words.add} onClose={onClose}>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(add).then((isDone) => isDone && onClose()))}>
        <Field label={words.name}>
          <input required pattern=".*\S.*" value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </Field>
        <Field label={words.id} hint={words.idHint}>
          <input value={id} readOnly={mapId !== undefined} onInput={(event) => setId(event.currentTarget.value)} />
        </Field>
        <Field label={words.file}>
          <input type="file" accept={ACCEPTED} onChange={(event) => setImage(event.currentTarget.files?.[0])} />
        </Field>
        <Field label={words.width} hint={words.widthHint}>
          <input type="number" required min={1} max={100_000} step="any" value={width_m} onInput={(event) => setWidth(event.currentTarget.valueAsNumber)} />
        </Field>
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={strings.add} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </Dialog>
  );
}

/// The scale from two points whose distance is known: clicked on the plan, or typed.
export function Scale({ floor, ends, onEnds, onClose }: { floor: FloorMap; ends: [number, number, number, number]; onEnds: (ends: [number, number, number, number]) => void; onClose: () => void }) {
  const act = useAct();
  const [length, setLength] = useState<number | undefined>();
  const [ax, ay, bx, by] = ends;
  const now = Math.hypot(bx - ax, by - ay);
  const set = async () => {
    if (!length || now === 0) throw new Problem(words.tooShort, 0);
    const factor = length / now;
    const { width_m, height_m, ppm } = floor;
    await saveFloor(floor.map_id, floorBody(floor, { width_m: millimetres((width_m ?? 0) * factor), height_m: millimetres((height_m ?? 0) * factor), ppm: ppm ? ppm / factor : undefined }));
    await loadPlaces();
    onClose();
  };
  return (
    <section aria-label={words.scale}>
      <h2>{words.scale}</h2>
      <p class="quiet">{words.scaleExplained}</p>
      <form class="fields" onSubmit={(event) => (event.preventDefault(), void act.run(set))}>
        <div class="columns">
          {ends.map((value, at) => (
            <Field label={words.ends[at] ?? ''}>
              <input
                type="number"
                step="any"
                required
                value={Math.round(value * 100) / 100}
                onChange={(event) => onEnds(ends.map((one, i) => (i === at ? event.currentTarget.valueAsNumber || 0 : one)) as typeof ends)}
              />
            </Field>
          ))}
        </div>
        <Field label={words.length} hint={words.lengthNow(now)}>
          <input type="number" required min={0.1} max={100_000} step="any" value={length ?? ''} onInput={(event) => setLength(event.currentTarget.valueAsNumber)} />
        </Field>
        {act.problem && <Fault problem={act.problem} />}
        <Ends act={words.setScale} isBusy={act.isBusy} onClose={onClose} />
      </form>
    </section>
  );
}
