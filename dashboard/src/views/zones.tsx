// Zones: drawn on the floor's image, saved, and their past derived anew.

import './zones.css';
import { signal } from '@preact/signals';
import { useLayoutEffect, useMemo, useState } from 'preact/hooks';
import { type Schemas, client, told } from '../api';
import type { Point } from '../plan/geometry';
import { type Area, type FloorMap, loadPlaces, map, mapAreas, site } from '../state';
import { strings } from '../strings';
import { Empty } from '../ui/ask';
import { Confirm } from '../ui/form';
import { linkTo } from '../url';
import { Board, type Pointer } from './zones/board';
import { type Draft, type Edit, begun, changed, draftOf, emptyDraft, redone, squareIn, undone } from './zones/draft';
import { type Mode, ZoneForm } from './zones/form';
import { FloorDialog, ImageDialog, Scale } from './zones/image';
import { ImportDialog } from './zones/import';
import { ZoneList } from './zones/list';
import { RebuildOffer } from './zones/rebuild';
import { Unmapped } from './zones/unmapped';
import { saveZone } from './zones/upload';
import { WhatIf } from './zones/what-if';

const words = strings.zones;

/// The zone that is being changed, kept while other views are looked at.
const editing = signal<{ mapId: string; edit: Edit } | undefined>();

type Shown = { name: 'import' | 'image' | 'what-if' | 'delete' | 'discard' } | { name: 'floor'; mapId?: string };

interface Offered {
  offer: Schemas['RebuildOffer'];
  about: string;
  areaId?: string;
}

export function Zones() {
  const floor = map.value;
  if (!site.value) return <Empty>{words.noSite}</Empty>;
  return floor ? <Floor key={floor.map_id} floor={floor} /> : <NoFloor />;
}

function NoFloor() {
  const [shown, setShown] = useState<Shown | undefined>();
  const close = () => setShown(undefined);
  return (
    <div class="zones-empty">
      <section class="card">
        <h2>{words.noFloor}</h2>
        <p>{words.noFloorExplained}</p>
        <div class="row">
          <button type="button" class="primary" onClick={() => setShown({ name: 'import' })}>
            {words.import.open}
          </button>
          <button type="button" onClick={() => setShown({ name: 'floor' })}>
            {words.image.addOpen}
          </button>
        </div>
      </section>
      <Unmapped onFloor={(mapId) => setShown({ name: 'floor', mapId })} onZone={() => undefined} />
      {shown?.name === 'import' && <ImportDialog onClose={close} onDone={() => undefined} />}
      {shown?.name === 'floor' && <FloorDialog mapId={shown.mapId} onClose={close} />}
    </div>
  );
}

const isDirty = (edit: Edit) => edit.past.length > 0;

function Floor({ floor }: { floor: FloorMap }) {
  const [mode, setMode] = useState<Mode>('shape');
  const [ends, setEnds] = useState<[number, number, number, number] | undefined>();
  const [shown, setShown] = useState<Shown | undefined>();
  const [offered, setOffered] = useState<Offered | undefined>();
  const edit = editing.value?.mapId === floor.map_id ? editing.value.edit : undefined;
  const zones = useMemo(() => mapAreas.value.filter((area) => area.kind === 'zone'), [mapAreas.value]);
  const others = useMemo(() => zones.filter((area) => area.area_id !== edit?.now.id), [zones, edit?.now.id]);
  const before = zones.find((area) => area.area_id === edit?.now.id);
  const setEdit = (next: Edit | undefined) => (editing.value = next && { mapId: floor.map_id, edit: next });
  const begin = (draft: Draft, first: Mode) => {
    setOffered(undefined);
    setEdit(begun(draft));
    setMode(first);
  };
  const end = () => {
    setEdit(undefined);
    setShown(undefined);
    setMode('shape');
  };
  const drawn = (ring: Point[]) => {
    if (!edit) return;
    const rings = mode === 'hole' ? [...edit.now.rings, ring] : [ring];
    setEdit(changed(edit, { rings }));
    setMode('shape');
  };
  const save = async () => {
    if (!edit) return;
    const saved = await saveZone(edit.now, floor, before);
    await loadPlaces();
    end();
    if (saved.rebuild_offer) setOffered({ offer: saved.rebuild_offer, about: saved.name ?? saved.area_id, areaId: saved.area_id });
  };
  const remove = async () => {
    if (before) await told(client.DELETE('/v1/areas/{id}', { params: { path: { id: before.area_id }, query: { kind: 'zone' } } }));
    await loadPlaces();
    end();
  };
  useUndoKeys(edit, setEdit, () => setMode('shape'));
  const pointer: Pointer = ends ? 'measure' : !edit ? 'look' : mode === 'shape' ? 'shape' : 'ring';
  const measured = ([a, b]: [Point, Point]) => setEnds([...a, ...b]);
  const noRings = useMemo<Point[][]>(() => [], []);
  return (
    <div class="floor zones-view">
      <Board
        floor={floor}
        zones={others}
        rings={edit?.now.rings ?? noRings}
        pointer={pointer}
        onChoose={(id) => {
          const area = zones.find((one) => one.area_id === id);
          if (area) begin(draftOf(area), 'shape');
        }}
        onRings={(rings) => edit && setEdit(changed(edit, { rings }))}
        onRing={drawn}
        onMeasure={measured}
      />
      <aside class="side">
        {offered && <RebuildOffer key={offered.offer.message} {...offered} onClose={() => setOffered(undefined)} />}
        {ends ? (
          <Scale floor={floor} ends={ends} onEnds={setEnds} onClose={() => setEnds(undefined)} />
        ) : edit ? (
          <ZoneForm
            edit={edit}
            isKnown={before !== undefined}
            mode={mode}
            onEdit={setEdit}
            onMode={setMode}
            onSquare={() => setEdit(changed(edit, { rings: [squareIn(floor.width_m ?? 50, floor.height_m ?? 50)] }))}
            onSave={save}
            onWhatIf={() => setShown({ name: 'what-if' })}
            onDelete={() => setShown({ name: 'delete' })}
            onCancel={() => (isDirty(edit) ? setShown({ name: 'discard' }) : end())}
          />
        ) : (
          <>
            <ZoneList zones={zones} onEdit={(area: Area) => begin(draftOf(area), 'shape')}>
              <button type="button" class="primary" onClick={() => begin(emptyDraft(), 'outline')}>
                {words.fresh}
              </button>
              <button type="button" onClick={() => setShown({ name: 'import' })}>
                {words.import.open}
              </button>
            </ZoneList>
            <Plans onShow={setShown} onScale={() => setEnds([0, 0, floor.width_m ?? 50, 0])} />
            <Unmapped onFloor={(mapId) => setShown({ name: 'floor', mapId })} onZone={({ area_id }) => begin({ ...emptyDraft(), id: area_id }, 'outline')} />
          </>
        )}
      </aside>
      <Dialogs
        shown={shown}
        floor={floor}
        rings={edit?.now.rings ?? noRings}
        name={before?.name ?? ''}
        onClose={() => setShown(undefined)}
        onOffer={setOffered}
        onScale={() => setEnds([0, 0, floor.width_m ?? 50, 0])}
        onDelete={remove}
        onDiscard={async () => end()}
      />
    </div>
  );
}

function Plans({ onShow, onScale }: { onShow: (shown: Shown) => void; onScale: () => void }) {
  return (
    <section aria-label={words.floorplan}>
      <h2>{words.floorplan}</h2>
      <div class="row">
        <button type="button" onClick={() => onShow({ name: 'image' })}>
          {words.image.open}
        </button>
        <button type="button" onClick={onScale}>
          {words.image.scaleOpen}
        </button>
        <button type="button" onClick={() => onShow({ name: 'floor' })}>
          {words.image.addOpen}
        </button>
      </div>
      <p class="quiet">
        <a href={linkTo('history')}>{words.history}</a>
      </p>
    </section>
  );
}

interface DialogsProps {
  shown: Shown | undefined;
  floor: FloorMap;
  rings: Point[][];
  name: string;
  onClose: () => void;
  onOffer: (offered: Offered) => void;
  onScale: () => void;
  onDelete: () => Promise<void>;
  onDiscard: () => Promise<void>;
}

function Dialogs({ shown, floor, rings, name, onClose, onOffer, onScale, onDelete, onDiscard }: DialogsProps) {
  switch (shown?.name) {
    case 'import':
      return <ImportDialog floor={floor} onClose={onClose} onDone={({ rebuild_offer }) => rebuild_offer && onOffer({ offer: rebuild_offer, about: words.import.imported })} />;
    case 'image':
      return <ImageDialog floor={floor} onClose={onClose} onDone={onScale} />;
    case 'floor':
      return <FloorDialog mapId={shown.mapId} onClose={onClose} />;
    case 'what-if':
      return <WhatIf mapId={floor.map_id} rings={rings} onClose={onClose} />;
    case 'delete':
      return <Confirm title={words.askDelete(name)} explained={words.deleteExplained} act={strings.remove} doing={onDelete} onClose={onClose} />;
    case 'discard':
      return <Confirm title={words.askDiscard} explained={words.discardExplained} act={words.discard} doing={onDiscard} onClose={onClose} />;
    default:
      return null;
  }
}

/// Ctrl+Z and Ctrl+Shift+Z (or Ctrl+Y), but in fields, which have their own; Escape ends drawing.
function useUndoKeys(edit: Edit | undefined, setEdit: (edit: Edit) => void, onEscape: () => void) {
  useLayoutEffect(() => {
    if (!edit) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLInputElement) return;
      if (event.key === 'Escape') onEscape();
      if (!(event.ctrlKey || event.metaKey)) return;
      const key = event.key.toLowerCase();
      if (key === 'y' || (key === 'z' && event.shiftKey)) setEdit(redone(edit));
      else if (key === 'z') setEdit(undone(edit));
      else return;
      event.preventDefault();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [edit]);
}
