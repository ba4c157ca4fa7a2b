// Draws points that move on their own, and lines, with as little WebGL as does it.

/// What is looked at: the middle of the canvas in the plane, its metres per pixel, the time.
export interface Look {
  x: number;
  y: number;
  resolution: number;
  now: number;
  glide_s: number;
}

export interface Drawing {
  /// Eight numbers each: from x, y, to x, y, since when, red, green, blue.
  setPoints(points: Float32Array): void;
  /// Five numbers each end: x, y, red, green, blue.
  setLines(ends: Float32Array): void;
  /// In CSS pixels; draws nothing without a look.
  draw(width: number, height: number, look: Look | undefined): void;
  dispose(): void;
}

/// Diameter with its white edge, CSS pixels.
const SIZE = 13;

const PLACE = `
  uniform vec2 centre;
  uniform vec2 scale;
  vec4 placed(vec2 at) { return vec4((at - centre) * scale, 0.0, 1.0); }`;

const POINT_VERTEX = `${PLACE}
  attribute vec2 start;
  attribute vec2 end;
  attribute float since;
  attribute vec3 colour;
  uniform float now;
  uniform float glide;
  uniform float size;
  varying vec3 ink;
  void main() {
    ink = colour;
    gl_Position = placed(mix(start, end, clamp((now - since) / glide, 0.0, 1.0)));
    gl_PointSize = size;
  }`;

const POINT_FRAGMENT = `
  precision highp float;
  varying vec3 ink;
  uniform float size;
  void main() {
    float away = length(gl_PointCoord - 0.5) * size;
    float whole = clamp(size * 0.5 - away, 0.0, 1.0);
    float inner = clamp(size * 0.36 - away + 0.5, 0.0, 1.0);
    gl_FragColor = vec4(mix(vec3(1.0), ink, inner) * whole, whole);
  }`;

const LINE_VERTEX = `${PLACE}
  attribute vec2 start;
  attribute vec3 colour;
  varying vec3 ink;
  void main() {
    ink = colour;
    gl_Position = placed(start);
  }`;

const LINE_FRAGMENT = `
  precision highp float;
  varying vec3 ink;
  void main() { gl_FragColor = vec4(ink * 0.55, 0.55); }`;

interface Program {
  program: WebGLProgram;
  buffer: WebGLBuffer | null;
  attributes: [location: number, size: number][];
  uniform: (name: string) => WebGLUniformLocation | null;
}

/// `undefined` where there is no WebGL.
export function drawing(canvas: HTMLCanvasElement): Drawing | undefined {
  const gl = canvas.getContext('webgl', { antialias: false, premultipliedAlpha: true });
  if (!gl) return undefined;
  const points = program(gl, POINT_VERTEX, POINT_FRAGMENT, [['start', 2], ['end', 2], ['since', 1], ['colour', 3]]);
  const lines = program(gl, LINE_VERTEX, LINE_FRAGMENT, [['start', 2], ['colour', 3]]);
  let [pointCount, lineEnds] = [0, 0];
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const upload = ({ buffer }: Program, data: Float32Array) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
  };
  const use = ({ program, buffer, attributes, uniform }: Program, look: Look, width: number, height: number) => {
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    const stride = attributes.reduce((sum, [, size]) => sum + size, 0) * 4;
    let offset = 0;
    for (const [location, size] of attributes) {
      gl.enableVertexAttribArray(location);
      gl.vertexAttribPointer(location, size, gl.FLOAT, false, stride, offset);
      offset += size * 4;
    }
    gl.uniform2f(uniform('centre'), look.x, look.y);
    gl.uniform2f(uniform('scale'), 2 / (look.resolution * width), 2 / (look.resolution * height));
  };
  return {
    setPoints(data) {
      pointCount = data.length / 8;
      upload(points, data);
    },
    setLines(data) {
      lineEnds = data.length / 5;
      upload(lines, data);
    },
    draw(width, height, look) {
      const ratio = devicePixelRatio;
      const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== wide || canvas.height !== high) {
        canvas.width = wide;
        canvas.height = high;
      }
      gl.viewport(0, 0, wide, high);
      gl.clear(gl.COLOR_BUFFER_BIT);
      if (!look || !width || !height) return;
      if (lineEnds) {
        use(lines, look, width, height);
        gl.drawArrays(gl.LINES, 0, lineEnds);
      }
      if (pointCount) {
        use(points, look, width, height);
        gl.uniform1f(points.uniform('now'), look.now);
        gl.uniform1f(points.uniform('glide'), look.glide_s);
        gl.uniform1f(points.uniform('size'), SIZE * ratio);
        gl.drawArrays(gl.POINTS, 0, pointCount);
      }
    },
    // Browsers allow a page few of them.
    dispose: () => gl.getExtension('WEBGL_lose_context')?.loseContext(),
  };
}

function program(gl: WebGLRenderingContext, vertex: string, fragment: string, attributes: [name: string, size: number][]): Program {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]] as const) {
    const shader = gl.createShader(kind);
    if (!shader) throw new Error('no shader');
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made) ?? 'the shaders do not link');
  const uniforms = new Map<string, WebGLUniformLocation | null>();
  return {
    program: made,
    buffer: gl.createBuffer(),
    attributes: attributes.map(([name, size]) => [gl.getAttribLocation(made, name), size]),
    uniform: (name) => {
      if (!uniforms.has(name)) uniforms.set(name, gl.getUniformLocation(made, name));
      return uniforms.get(name) ?? null;
    },
  };
}
